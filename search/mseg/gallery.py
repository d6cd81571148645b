"""`faces.npz`: validation images as a run's best weights see them, small, to compare two runs by.

The images whose F changed most between two runs can only be shown if both kept what they predicted. With
the images that takes a third of a megabyte per trial. Masks hold class numbers, so that no colour has to be
interpreted. This file does not import torch: reports read galleries.
"""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.mseg.data.colours import painted
from search.mseg.data.labels import Pixels
from search.mseg.naming import GALLERY
from search.objective import Examples
from search.objective.files import publish

SIDE = 128  # the longer one, in pixels
MOST = 100  # images, the first of the validation set
QUALITY = 85  # of the JPEG that holds the images


def write(
    folder: Path,
    *,
    names: Sequence[str],
    scores: NDArray[np.float32],
    images: Pixels,
    truth: Pixels,
    predicted: Pixels,
    classes: Sequence[str],
    palette: Pixels,
) -> None:
    """Write `faces.npz`.

    Args:
        scores: (N,), the F of each image. images: (N, H, W, 3), stored below each other as one JPEG.
        truth, predicted: (N, H, W), class numbers and IGNORED.
        palette: (classes, 3), the RGB colour of each class.
    """
    temporary = folder / f"{GALLERY}.tmp"
    sheet = io.BytesIO()
    Image.fromarray(images.reshape(-1, *images.shape[2:])).save(sheet, "JPEG", quality=QUALITY)
    with temporary.open("wb") as file:
        np.savez_compressed(
            file,
            names=np.array(names),
            f=scores.astype(np.float32),
            images=np.frombuffer(sheet.getvalue(), np.uint8),
            truth=truth,
            prediction=predicted,
            classes=np.array(classes),
            palette=palette,
        )
    publish(temporary, folder / GALLERY)


def read(folder: Path) -> Examples | None:
    """The images that the run in `folder` kept; None if there are none, or the file is damaged."""
    try:
        with (folder / GALLERY).open("rb") as file, np.load(file, allow_pickle=False) as kept:
            truth, palette = kept["truth"], kept["palette"]
            sheet = np.asarray(Image.open(io.BytesIO(kept["images"].tobytes())).convert("RGB"))
            return Examples(
                names=[str(name) for name in kept["names"]],
                scores=kept["f"],
                images=sheet.reshape(*truth.shape, 3),
                truth=painted(truth, palette),
                predicted=painted(kept["prediction"], palette),
            )
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile):
        return None
