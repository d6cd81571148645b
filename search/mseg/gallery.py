"""`faces.npz`: the validation faces as the best weights see them, small, for whoever compares two runs.

The faces whose F changed most between two runs can be shown only if both have kept what they predicted:
with the images a third of a megabyte a trial. The masks are numbers of classes, so that no colour has to
be understood.
"""

import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from search.mseg.checkpoint import publish
from search.mseg.data.data import SegmentationData

FACES = "faces.npz"
SIDE = 128  # pixels
MOST = 100  # faces, the first of the validation set
QUALITY = 85  # of the JPEG that holds the images


def shrunk(masks: Tensor) -> Tensor:
    """Masks (B, H, W) of class numbers at SIDE x SIDE, uint8: each pixel is one of the mask's."""
    return interpolate(masks[:, None].float(), size=(SIDE, SIDE), mode="nearest")[:, 0].to(torch.uint8)


def write(
    folder: Path, data: SegmentationData, predicted: Tensor, scores: Tensor, palette: NDArray[np.uint8]
) -> None:
    """Writes `faces.npz`.

    It holds `names` and `f` by face; `images`, a JPEG of all faces below each other; `truth` and
    `prediction` (faces, SIDE, SIDE); `classes` by number and their colours, `palette`.

    Args:
        predicted: (N, SIDE, SIDE), as `shrunk` makes them. scores: (N,), the F of each face.
    """
    images = data.val.images[:MOST].float().cpu()
    small = interpolate(images, size=(SIDE, SIDE), mode="area").round().to(torch.uint8)
    beside = folder / f"{FACES}.tmp"
    with beside.open("wb") as file:
        np.savez_compressed(
            file,
            names=np.array(data.val.names[:MOST]),
            f=scores[:MOST].cpu().numpy().astype(np.float32),
            images=_jpeg(small.permute(0, 2, 3, 1).numpy()),
            truth=shrunk(data.val_targets[:MOST]).cpu().numpy(),
            prediction=predicted[:MOST].cpu().numpy(),
            classes=np.array(data.classes),
            palette=palette,
        )
    publish(beside, folder / FACES)


def _jpeg(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, S, S, 3) below each other as the bytes of one JPEG."""
    written = io.BytesIO()
    Image.fromarray(images.reshape(-1, *images.shape[2:])).save(written, "JPEG", quality=QUALITY)
    return np.frombuffer(written.getvalue(), np.uint8)
