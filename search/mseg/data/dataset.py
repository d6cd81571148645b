"""What a data source gives: images and masks of a study, split, with names and fingerprint.

Everything is uint8 from the file to the batch. B batch, H and W the training size, He and We the evaluation
size.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, WithJsonSchema
from torch import Tensor

from search.errors import DataError
from search.mseg.data.cache import Table
from search.mseg.data.colours import default_colours
from search.mseg.data.fitting import Fitting, Size, SizeRule, as_size
from search.mseg.data.labels import Pixels
from search.mseg.data.targets import Targets
from search.mseg.section import Section
from search.objective import Description, LabelledTest

TRAINED = SizeRule(32, 8192, 8)
SCORED = SizeRule(8, 8192, words=("train", "native"))


class DataSettings(Section):
    """The settings of the section `data` that every source follows."""

    section: ClassVar = "data"
    selector: ClassVar = "source"

    source: str = Field("folder", description="a name in SOURCES")
    image_size: Annotated[
        int | Size,
        BeforeValidator(TRAINED.read),
        WithJsonSchema(TRAINED.schema()),
    ] = Field(
        512,
        description="of training images in pixels: a side, or [height, width]; multiples of 8, 32 to 8192",
    )
    fit: Literal["resize", "pad"] = Field(
        "resize",
        description="how images of other shapes come to image_size: `resize`: stretched; `pad`: scaled "
        "with their aspect ratio, and the rest black in the image and ignored in the mask",
    )
    eval_size: Annotated[
        int | Size | Literal["train", "native"],
        BeforeValidator(SCORED.read),
        WithJsonSchema(SCORED.schema()),
    ] = Field(
        "native",
        description="size in pixels at which predictions are scored: a side, or [height, width], 8 to "
        "8192; `train`: image_size; `native`: each mask's own",
    )
    train_limit: int | None = Field(
        None,
        ge=1,
        description="use at most this many training images, the first of the split, at least 1; null: all",
    )
    val_share: float = Field(
        0.1, gt=0, lt=1, description="share of the images that validates if there is no `val` folder"
    )
    split_seed: int = Field(
        42, ge=0, lt=2**32, description="seed of the order before the split, 0 to 2^32 - 1"
    )

    @property
    def fitting(self) -> Fitting:
        return Fitting(as_size(self.image_size), self.fit == "pad")

    @property
    def scored_at(self) -> Size | Literal["native"]:
        if self.eval_size == "native":
            return "native"
        return as_size(self.image_size if self.eval_size == "train" else self.eval_size)

    def split(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of `count` sorted images train and which validate, in this order; without `train_limit`.

        Raises:
            DataError: either part would be empty.
        """
        order = self.order(count)
        train = count - round(count * self.val_share)
        if not 0 < train < count:
            raise DataError(
                f"data.val_share: {self.val_share} of {count} images leaves {train} to train on and "
                f"{count - train} to validate; change it or add images"
            )
        return order[:train], order[train:]

    def order(self, count: int) -> NDArray[np.int64]:
        """`count` indices in the order of `split_seed`."""
        return np.random.RandomState(self.split_seed).permutation(count)

    def limited(self, count: int) -> int:
        """How many of `count` training images are used."""
        return count if self.train_limit is None else min(self.train_limit, count)

    def too_few(self, count: int) -> tuple[str, ...]:
        """A sentence where `train_limit` is more than the `count` training images there are."""
        if self.train_limit is None or self.train_limit <= count:
            return ()
        return (
            f"data.train_limit: {self.train_limit}, but there are {count} training images; all are used",
        )


@dataclass(frozen=True, slots=True)
class Split:
    """A part of the data at the training size.

    Attributes:
        images: (N, 3, H, W) uint8 RGB. masks: (N, H, W) uint8 classes and IGNORED.
        names: file names without their suffix.
    """

    images: Tensor
    masks: Tensor
    names: tuple[str, ...]

    @classmethod
    def of(cls, table: Table | Mapping[str, Pixels], names: Sequence[str]) -> "Split":
        """The first images of `table`, as many as there are names; views of its arrays."""
        images, masks = (torch.from_numpy(table[kind][: len(names)]) for kind in ("images", "masks"))
        return cls(images, masks, tuple(names))

    def joined(self, other: "Split") -> "Split":
        """The images of this part, then those of the other."""
        return Split(
            torch.cat([self.images, other.images]),
            torch.cat([self.masks, other.masks]),
            self.names + other.names,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationData:
    """All data of a study.

    Attributes:
        val_targets: the masks of `val` at the evaluation size.
        chosen_colours: those of `colours`, if the data have any.
        mirror_pairs: classes that change places in a mirror image.
        ignored: whether a mask may hold IGNORED pixels.
        source: where the data come from, in words: `drawn`, or the folder.
        fingerprint, problems, fixed_val: as in `search.objective.Description`.
    """

    train: Split
    val: Split
    val_targets: Targets
    classes: tuple[str, ...]
    chosen_colours: Pixels | None = None
    mirror_pairs: tuple[tuple[int, int], ...]
    source: str
    fingerprint: Mapping[str, str]
    problems: tuple[str, ...] = ()
    ignored: bool = False
    fixed_val: bool = False

    @property
    def colours(self) -> Pixels:
        """RGB of each class in pictures, (C, 3)."""
        return default_colours(len(self.classes)) if self.chosen_colours is None else self.chosen_colours


@dataclass(frozen=True, slots=True)
class LabelledSplit:
    """A labelled test split, of which nothing has been read yet.

    Attributes:
        describe: checks every image of it; DataError if one cannot be scored.
        images: yields an image (3, H, W), RGB, and its mask (He, We) as it is scored, in a fixed order.
    """

    classes: tuple[str, ...]
    describe: Callable[[], LabelledTest]
    images: Callable[[], Iterator[tuple[Pixels, Pixels]]]


class Source(ABC):
    """Where images and masks come from: what SOURCES builds. Only `load` is required.

    Every method raises DataError if the data are missing, unreadable or inconsistent.

    Attributes:
        config: what every source must follow: sizes, split and limit.
        root: the data folder given on this machine, absolute; None if none was given.
    """

    def __init__(self, config: DataSettings, root: Path | None) -> None:
        self.config = config
        self.root = root

    @abstractmethod
    def load(self) -> SegmentationData:
        """The data, on the CPU."""

    def describe(self) -> Description | None:
        """What the data are, if that is known without loading them."""
        return None

    def test_split(self) -> LabelledSplit:
        """The labelled test split, which neither `load` nor `describe` may read."""
        raise DataError(f"data.source: {self.config.source} has no labelled test split")
