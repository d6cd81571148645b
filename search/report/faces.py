"""The faces whose score changed most between two runs, from what each run kept of them (`faces.npz`)."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FACES = "faces.npz"
SHOWN = 3
"""Faces of each kind: those that lost most, and those that gained most."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Kept:
    """What one run kept of its validation faces; the arrays of `search/mseg/gallery.py`."""

    names: Sequence[str]
    f: NDArray[np.float32]
    images: Pixels
    truth: Pixels
    prediction: Pixels
    palette: Pixels


@dataclass(frozen=True, slots=True)
class Face:
    """One face in two runs.

    Attributes:
        before, after: its F. image, truth, old, new: (S, S, 3) RGB, the masks in the classes' colours.
    """

    name: str
    before: float
    after: float
    image: Pixels
    truth: Pixels
    old: Pixels
    new: Pixels


@dataclass(frozen=True, slots=True)
class Changed:
    """The faces that changed most, the largest loss first; how many of all got better and worse."""

    faces: Sequence[Face]
    count: int
    better: int
    worse: int


def changed(before: Path, after: Path) -> Changed | None:
    """Between the runs in two folders; None where either has kept nothing, or other faces."""
    old, new = read(before), read(after)
    if (
        old is None
        or new is None
        or list(old.names) != list(new.names)
        or old.truth.shape != new.truth.shape
    ):
        return None
    difference = new.f - old.f
    order = np.argsort(difference, kind="stable")
    lost = [int(index) for index in order[:SHOWN] if difference[index] < 0]
    gained = [int(index) for index in order[::-1][:SHOWN] if difference[index] > 0]
    faces = [
        Face(
            name=old.names[index],
            before=float(old.f[index]),
            after=float(new.f[index]),
            image=new.images[index],
            truth=new.palette[new.truth[index]],
            old=old.palette[old.prediction[index]],
            new=new.palette[new.prediction[index]],
        )
        for index in (*lost, *gained)
    ]
    return Changed(faces, len(difference), int((difference > 0).sum()), int((difference < 0).sum()))


def read(folder: Path) -> Kept | None:
    """What the run in `folder` kept; None where that is nothing, or not whole."""
    try:
        with np.load(folder / FACES, allow_pickle=False) as kept:
            truth = kept["truth"]
            sheet = np.asarray(Image.open(io.BytesIO(kept["images"].tobytes())).convert("RGB"))
            return Kept(
                names=[str(name) for name in kept["names"]],
                f=kept["f"],
                images=sheet.reshape(*truth.shape, 3),
                truth=truth,
                prediction=kept["prediction"],
                palette=kept["palette"],
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
