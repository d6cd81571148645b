"""The data sources there are, the section `data` of space.yaml, and the data on their device.

On a CPU the tensors are views of a memory-mapped cache that all workers of the machine share (`cache`) and
that may be larger than the memory. A GPU holds all of them for the whole process if that takes less than
half of its free memory; else they stay where they are, and batches are read ahead (`batches`).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from search.mseg.data.dataset import DataSettings, SegmentationData, Source
from search.mseg.data.drawn import DrawnFaces
from search.mseg.data.folder import Folder
from search.mseg.data.targets import RaggedMasks
from search.objective import Description

SOURCES: dict[str, Callable[..., Source]] = {"folder": Folder, "drawn": DrawnFaces}
"""(config: DataSettings, root: Path | None, *, options) -> a Source. Building it reads no data."""


class DataConfig(DataSettings):
    """The section `data` of space.yaml."""

    registry: ClassVar = SOURCES


def source(config: DataConfig, root: Path | None) -> Source:
    """The source that `config` names, with the data folder `root` if one was given."""
    built: Source = config.bound()(config, root and root.resolve())
    return built


def load(config: DataConfig, root: Path | None, device: str = "cpu") -> SegmentationData:
    """The data of `config`, once per process: the last ones loaded are kept for the next trial.

    Args:
        root: the data folder, for sources that need one.
        device: a torch device. On CUDA, data that need half of the free memory or more stay on the host.

    Raises:
        DataError: the data are missing, unreadable or inconsistent.
    """
    return _load(config, root and root.resolve(), device)


def describe(config: DataConfig, root: Path | None) -> Description:
    """What the data are. Unless that is known without, they are loaded, so that every fault shows up here.

    Raises:
        DataError: as `load`.
    """
    known = source(config, root).describe()
    if known is not None:
        return known
    data = load(config, root)
    return Description(
        train=len(data.train.names),
        val=len(data.val.names),
        classes=len(data.classes),
        image_size=config.image_size,
        source=data.source,
        fingerprint=data.fingerprint,
        problems=data.problems,
        fixed_val=data.fixed_val,
    )


@lru_cache(maxsize=1)
def _load(config: DataConfig, root: Path | None, device: str) -> SegmentationData:
    return _placed(source(config, root).load(), torch.device(device))


def _placed(data: SegmentationData, device: torch.device) -> SegmentationData:
    """The same data on `device`, or where they are if they would fill it."""
    if device.type == "cpu":
        return data
    targets = data.val_targets
    pixels = targets.values if isinstance(targets, RaggedMasks) else targets
    tensors = (data.train.images, data.train.masks, data.val.images, data.val.masks, pixels)
    if device.type == "cuda" and sum(each.nbytes for each in tensors) > _free(device) / 2:
        return data

    def place(tensor: Tensor) -> Tensor:
        return tensor.to(device)

    return replace(
        data,
        train=replace(data.train, images=place(data.train.images), masks=place(data.train.masks)),
        val=replace(data.val, images=place(data.val.images), masks=place(data.val.masks)),
        val_targets=targets.map(place) if isinstance(targets, RaggedMasks) else place(targets),
    )


def _free(device: torch.device) -> int:
    """Bytes of memory free on a CUDA device."""
    return torch.cuda.mem_get_info(device)[0]
