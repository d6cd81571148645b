"""The data of a study: a folder of images and masks, or drawn faces; split, decoded once, on the device.

Everything is uint8 from the file to the batch. On a CPU the tensors are views of a memory-mapped cache
that all workers of the machine share (`cache`); a GPU holds all of it for the whole process where that
takes less than half of its free memory. `folder` knows the layout of a folder, `faces` draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from search.errors import DataError
from search.mseg.data import cache, drawn_faces
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.contents import Content, contents, digest
from search.mseg.data.folder import Folder, Pair, decode, scan
from search.mseg.data.problems import leaks, unnamed_pairs
from search.objective import Description

STORED_AS = "1"
"""Version of what the cache holds; another decoder needs another."""


MOST_DRAWN = 100_000
"""Drawn faces of a study at most; those of the test split have higher numbers (`held_out`)."""


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
    eval_size: Annotated[int, Field(ge=8, le=8192)] | Literal["train", "native"] = Field(
        "native",
        description="side in pixels at which predictions are scored, 8 to 8192; "
        "`train`: image_size; `native`: the masks' own, which must be one for all",
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
        300, ge=2, le=MOST_DRAWN, description="number of drawn faces, validation included, 2 to 100000"
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
    if config.source == "drawn":  # known without drawing
        train, val = _split(config.drawn_images, config)
        return Description(
            train=_limited(len(train), config),
            val=len(val),
            classes=len(CLASSES),
            image_size=config.image_size,
            source="drawn",
            fingerprint=_drawn_fingerprint(config),
        )
    data = load(config, root)
    return Description(
        train=len(data.train.names),
        val=len(data.val.names),
        classes=len(data.classes),
        image_size=config.image_size,
        source=data.source,
        fingerprint=data.fingerprint,
        problems=data.problems,
    )


@lru_cache(maxsize=1)
def _load(config: DataConfig, root: Path | None, device: str) -> SegmentationData:
    return _placed(SOURCES[config.source](config, root), torch.device(device))


def _placed(data: SegmentationData, device: torch.device) -> SegmentationData:
    """The same data on `device`, or in pinned memory where they would fill it."""
    if device.type == "cpu":
        return data
    tensors = (data.train.images, data.train.masks, data.val.images, data.val.masks, data.val_targets)
    tight = device.type == "cuda" and sum(each.nbytes for each in tensors) > _free(device) / 2

    def place(tensor: Tensor) -> Tensor:
        return tensor.contiguous().pin_memory() if tight else tensor.to(device)

    return replace(
        data,
        train=replace(data.train, images=place(data.train.images), masks=place(data.train.masks)),
        val=replace(data.val, images=place(data.val.images), masks=place(data.val.masks)),
        val_targets=place(data.val_targets),
    )


def _free(device: torch.device) -> int:
    """Bytes of memory free on a CUDA device."""
    return torch.cuda.mem_get_info(device)[0]


def _split(count: int, config: DataConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of `count` sorted images train and which validate, in this order."""
    order = np.random.RandomState(config.split_seed).permutation(count)
    train = count - round(count * config.val_share)
    if not 0 < train < count:
        raise DataError(
            f"data.val_share: {config.val_share} of {count} images leaves {train} to train on and "
            f"{count - train} to validate; change it or add images"
        )
    return order[:train], order[train:]


def _limited(count: int, config: DataConfig) -> int:
    """How many of `count` training images are used."""
    if config.train_limit is None:
        return count
    if config.train_limit > count:
        raise DataError(f"data.train_limit: {config.train_limit}, but there are {count} training images")
    return config.train_limit


def _from_folder(config: DataConfig, root: Path | None) -> SegmentationData:
    folder = scan(root)
    known = contents_of(folder)
    if folder.val is None:
        train, val = ([folder.train[i] for i in part] for part in _split(len(folder.train), config))
    else:  # shuffled here too, so that train_limit takes a fair sample
        order = np.random.RandomState(config.split_seed).permutation(len(folder.train))
        train, val = [folder.train[i] for i in order], list(folder.val)
    limit = _limited(len(train), config)
    scored_at = None if config.eval_size == "train" else config.eval_size

    def stored(part: str, pairs: list[Pair], eval_size: int | Literal["native"] | None) -> cache.Table:
        size, classes = config.image_size, len(folder.classes)
        hashes = [(known[pair.image].sha256, known[pair.mask].sha256) for pair in pairs]
        key = f"{part}-{digest([STORED_AS, size, classes, eval_size, *hashes])}"
        return cache.table(key, len(pairs), lambda: decode(pairs, size, classes, eval_size))

    trained, validated = stored("train", train, None), stored("val", val, scored_at)
    targets = validated["masks" if scored_at is None else "targets"]
    shuffle = f"seed {config.split_seed}" + (", val folder" if folder.val else "")
    return SegmentationData(
        train=_part(trained, [pair.name for pair in train[:limit]]),
        val=_part(validated, [pair.name for pair in val]),
        val_targets=torch.from_numpy(targets),
        classes=folder.classes,
        mirror_pairs=folder.mirror_pairs or (),
        source=str(folder.root),
        fingerprint={
            **_identity(folder, known),
            "split": f"{limit} + {len(val)}, {shuffle}",
            "eval_size": " x ".join(map(str, targets.shape[1:])),
        },
        problems=(*leaks(train, val, known), *unnamed_pairs(folder, trained["masks"])),
    )


def contents_of(folder: Folder) -> dict[Path, Content]:
    """What the files hold that a study trains on and validates with."""
    files = [file for pair in (*folder.train, *(folder.val or ())) for file in (pair.image, pair.mask)]
    return dict(zip(files, contents(folder.root, files), strict=True))


def _identity(folder: Folder, known: Mapping[Path, Content]) -> dict[str, str]:
    """What must be the same on every machine of a study, wherever its copy of the folder is."""
    pairs = (*folder.train, *(folder.val or ()))
    return {
        "names": digest(pair.image.name for pair in pairs),
        "sizes": digest(known[pair.image].size for pair in pairs),
        "masks": digest(known[pair.mask].sha256 for pair in pairs),
        "classes": digest((folder.classes, folder.mirror_pairs)),
    }


def _from_drawn(config: DataConfig, _: Path | None) -> SegmentationData:
    train, val = _split(config.drawn_images, config)
    train = train[: _limited(len(train), config)]
    images, masks = drawn_faces.draw(config.drawn_images, config.image_size, config.drawn_seed)
    trained, validated = ({"images": images[part], "masks": masks[part]} for part in (train, val))
    targets = torch.from_numpy(validated["masks"])
    if isinstance(config.eval_size, int):
        targets = F.interpolate(targets[:, None], config.eval_size, mode="nearest-exact")[:, 0]
    return SegmentationData(
        train=_part(trained, [f"face-{index:05d}" for index in train]),
        val=_part(validated, [f"face-{index:05d}" for index in val]),
        val_targets=targets,
        classes=CLASSES,
        mirror_pairs=MIRROR_PAIRS,
        source="drawn",
        fingerprint=_drawn_fingerprint(config),
    )


def drawn_side(config: DataConfig) -> int:
    """Side in pixels at which drawn faces are scored."""
    return config.eval_size if isinstance(config.eval_size, int) else config.image_size


def _drawn_fingerprint(config: DataConfig) -> dict[str, str]:
    train, val = _split(config.drawn_images, config)
    scored_at = drawn_side(config)
    return {
        "faces": f"version {drawn_faces.VERSION}, {config.drawn_images} of seed {config.drawn_seed}",
        "split": f"{_limited(len(train), config)} + {len(val)}, seed {config.split_seed}",
        "eval_size": f"{scored_at} x {scored_at}",
    }


def _part(table: cache.Table | Mapping[str, NDArray[np.uint8]], names: Sequence[str]) -> Split:
    """The first images of `table`, as many as there are names."""
    images, masks = (torch.from_numpy(table[kind][: len(names)]) for kind in ("images", "masks"))
    return Split(images, masks, tuple(names))


SOURCES = {"folder": _from_folder, "drawn": _from_drawn}
