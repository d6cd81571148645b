"""A tiny model that was trained on drawn faces, images beside it, and a study whose trial it is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from trainings import small

from search.mseg import checkpoint, train
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.models import registry as models
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


def untrained(folder: Path, **model: object) -> Path:
    """A folder with the weights of a model as it is drawn, which say what model it is."""
    config = small(**{f"model__{name}": value for name, value in model.items()})
    torch.manual_seed(5)
    network = models.build(config.model, len(CLASSES))
    about = {
        "epoch": 1,
        "model": config.model.model_dump(),
        "classes": list(CLASSES),
        "mirror_pairs": [list(pair) for pair in MIRROR_PAIRS],
        "image_size": 32,
    }
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.write_weights(folder, network.state_dict(), about)
    checkpoint.settle_weights(folder, best=True)
    return folder
