"""A tiny model that was trained on drawn faces, images beside it, and a study whose trial it is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from trainings import small

from search.mseg import train
from search.objective import Run

SIZES = {"a": (40, 30), "b": (32, 32), "c": (21, 48)}
"""Width and height of each image."""


def trained(folder: Path, **changes: object) -> Path:
    """A folder with the files that a training of two epochs leaves."""
    run = Run(dir=folder, seed=3)
    folder.mkdir(parents=True, exist_ok=True)
    for _ in train(small(trainer__epochs=2, **changes), run):
        pass
    return folder


def images(folder: Path, names: Sequence[str] = tuple(SIZES)) -> Path:
    """A folder with images of different sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        width, height = SIZES[name]
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (height, width, 3), np.uint8)
        smooth = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX, reducing_gap=1)
        smooth.save(folder / f"{name}.png")
    return folder
