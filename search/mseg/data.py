"""The data of a study: a folder of images and masks, or drawn faces; split, decoded once, on the device.

Everything is uint8 from the file to the batch. On a CPU the tensors are views of a memory-mapped cache
that all workers of the machine share (`cache`); a GPU holds all of it for the whole process where that
takes less than half of its free memory. `folder` knows the layout of a folder, `faces` draws.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from search.errors import DataError
from search.mseg import cache, faces
from search.mseg.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.contents import Content, contents
from search.mseg.folder import Folder, Pair, decode, scan
from search.objective import Description

STORED_AS = "1"
"""Version of what the cache holds; another decoder needs another."""


class DataConfig(BaseModel):
    """Section `data` of space.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["folder", "drawn"] = Field(
        "folder",
        description="`folder`: the one named by --data or SEARCH_DATA; `drawn`: faces by procedure",
    )
    image_size: int = Field(
        512, ge=32, multiple_of=32, description="side of a training image in pixels, a multiple of 32"
    )
    eval_size: int | Literal["train", "native"] = Field(
        "native",
        description="side in pixels at which a prediction is scored; `train`: image_size; `native`: the mask's own",
    )
    train_limit: int | None = Field(
        None, ge=1, description="train on the first so many images of the split, at least 1; null: on all"
    )
    val_share: float = Field(
        0.1, gt=0, lt=1, description="share of the images that validates, where there is no `val` folder"
    )
    split_seed: int = Field(
        42, ge=0, lt=2**32, description="seed of the order before the split, 0 to 2^32 - 1"
    )
    drawn_images: int = Field(
        300, ge=2, le=100_000, description="number of drawn faces, validation included, 2 to 100000"
    )
    drawn_seed: int = Field(0, ge=0, lt=2**63, description="seed of the drawn faces, 0 to 2^63 - 1")


@dataclass(frozen=True, slots=True)
class Split:
    """A part of the data at the training size.

    Attributes:
        images: (N, 3, S, S) uint8 RGB. masks: (N, S, S) uint8 classes.
        names: file names without their suffix.
    """

    images: Tensor
    masks: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationData:
    """All data of a study.

    Attributes:
        val_targets: (N, He, We) uint8, the masks of `val` at the evaluation size.
        mirror_pairs: classes that change places in a mirror image.
        source: `drawn`, or the folder.
        fingerprint, problems: as in `search.objective.Description`.
    """

    train: Split
    val: Split
    val_targets: Tensor
    classes: tuple[str, ...]
    mirror_pairs: tuple[tuple[int, int], ...]
    source: str
    fingerprint: Mapping[str, str]
    problems: tuple[str, ...] = ()


def load(config: DataConfig, root: Path | None, device: str = "cpu") -> SegmentationData:
    """The data of `config`, once per process: the last ones loaded are kept for the next trial.

    Args:
        root: the data folder, for source `folder`.
        device: a torch device. On CUDA, data that need half of the free memory or more stay on the host
            in pinned memory, and the trainer sends batches.

    Raises:
        DataError: the folder or a file in it is missing, unreadable or inconsistent.
    """
    return _load(config, root and root.resolve(), device)


def describe(config: DataConfig, root: Path | None) -> Description:
    """What the data are. Reads all of a folder the first time, so that every fault shows up here.

    Raises:
        DataError: as `load`.
    """
    if config.source == "drawn":
        train, val = _split(config.drawn_images, config)
        fingerprint = _drawn_fingerprint(config)
        sizes, classes, source, problems = (len(train), len(val)), CLASSES, "drawn", ()
    ...
