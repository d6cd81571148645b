"""A data folder in CelebAMask-HQ mini's layout.

    train/images/*.jpg, *.jpeg, *.png   any size and mode, read as RGB
    train/masks/*.png                   named like the images and of their size
    val/images, val/masks               if there is a validation set; else one is split off
    test/images, test/masks             if there is a labelled test split; read by `labelled_test` alone
    dataset.yaml                        if the classes are not CelebAMask-HQ's

A mask's pixel is a class: the palette INDEX in a palette PNG, the value in a greyscale one. The palette's
colours mean nothing. dataset.yaml has `classes: [name, ...]`, class 0 (what augmentation fills with) first,
and `mirror_pairs: [[4, 5], ...]`, the numbers of classes that change places in a mirror image; `[]` says
that none do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from search.document.node import Node
from search.document.reading import read_document
from search.errors import DataError, SpaceError
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.faults import FileFault, FileFaults

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")

MASK_SUFFIXES = (".png",)

TEST = "test"

DESCRIPTIONS = ("dataset.yaml", "dataset.yml")
"""Names of the file with the classes, in lower case."""


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of an image and its mask."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class DataFolder:
    """What a data folder holds.

    Attributes:
        train: sorted by file name. val: the same of `val`, None where there is no such folder.
        mirror_pairs: None where dataset.yaml is silent on them.
        described: dataset.yaml, or dataset.yml; None where CelebAMask-HQ's classes are assumed.
    """

    root: Path
    train: tuple[ImageFiles, ...]
    val: tuple[ImageFiles, ...] | None
    classes: tuple[str, ...]
    mirror_pairs: tuple[tuple[int, int], ...] | None
    described: Path | None = None


def scan(root: Path | None) -> DataFolder:
    """Finds the pairs and classes of a folder, without opening an image.

    Raises:
        DataError: no folder, no images, an image or a mask without its other half, a wrong dataset.yaml.
    """
    if root is None:
        raise DataError("no data folder: name one with --data or SEARCH_DATA")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name one with --data or SEARCH_DATA")
    described = _described_in(root)
    dataset = _dataset(described) if described else ASSUMED
    faults: list[FileFault] = []
    train = _pairs(root / "train", faults)
    val = _pairs(root / "val", faults) if (root / "val").exists() else None
    if faults:
        raise FileFaults(faults)
    return DataFolder(root, train, val, dataset.classes, dataset.mirror_pairs, described)


class _Dataset(BaseModel):
    """dataset.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[str, ...] = Field(min_length=2, max_length=256)
    mirror_pairs: tuple[tuple[int, int], ...] | None = None

    @model_validator(mode="after")
    def _each_class_once(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have one name")
        paired = [number for pair in self.mirror_pairs or () for number in pair]
        if any(not 0 <= number < len(self.classes) for number in paired):
            raise ValueError(f"mirror_pairs has a number outside 0 to {len(self.classes) - 1}")
        if len(set(paired)) < len(paired):
            raise ValueError("a class is twice in mirror_pairs")
        return self


ASSUMED = _Dataset(classes=CLASSES, mirror_pairs=MIRROR_PAIRS)


def _described_in(root: Path) -> Path | None:
    """The file that lists the classes, in either spelling of its suffix and in any case."""
    files = sorted(path for path in root.iterdir() if path.name.lower() in DESCRIPTIONS)
    if len(files) > 1:
        names = " and ".join(path.name for path in files)
        raise DataError(f"{root}: holds {names}; keep one of them")
    return files[0] if files else None


def _dataset(path: Path) -> _Dataset:
    try:
        document = read_document(path)
        return _Dataset.model_validate(document.plain())
    except SpaceError as error:
        raise DataError(str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        place = _place(document, first["loc"])
        raise DataError(f"{place}: {where + ': ' if where else ''}{what}") from error


def _place(node: Node, path: Sequence[str | int]) -> str:
    """Where the value at `path` was written, or the last one on the way to it."""
    if path and isinstance(node.value, dict) and path[0] in node.value:
        return _place(node.value[str(path[0])], path[1:])
    if path and isinstance(node.value, list) and isinstance(path[0], int) and path[0] < len(node.value):
        return _place(node.value[path[0]], path[1:])
    return node.place


def labelled_test(root: Path) -> tuple[ImageFiles, ...]:
    """The pairs of the labelled test split, sorted by the image's file name.

    Raises:
        DataError: there is none; images without masks are none.
    """
    part = root / TEST
    if not _holds(part / "masks", MASK_SUFFIXES):
        masks = f"put them into {part / 'masks'}, named like the images, or omit --final"
        if _holds(part / "images", IMAGE_SUFFIXES):
            raise DataError(f"{part}: images without masks are no labelled test split; {masks}")
        raise DataError(f"{part}: no labelled test split: no images with masks; {masks}")
    faults: list[FileFault] = []
    pairs = _pairs(part, faults)
    if faults:
        raise FileFaults(faults)
    return pairs


def _holds(directory: Path, suffixes: Sequence[str]) -> bool:
    return directory.is_dir() and any(path.suffix.lower() in suffixes for path in directory.iterdir())


def _pairs(part: Path, faults: list[FileFault]) -> tuple[ImageFiles, ...]:
    """The pairs of `train`, `val` or `test`, sorted by file name; adds to `faults`."""
    images = _by_stem(part / "images", IMAGE_SUFFIXES, faults)
    masks = _by_stem(part / "masks", MASK_SUFFIXES, faults)
    if not images:
        raise DataError(f"{part / 'images'}: no {', '.join(IMAGE_SUFFIXES)} file in it")
    for stem in sorted(images.keys() - masks.keys()):
        sentence = f"no mask {part / 'masks' / stem}.png; add it or remove the image"
        faults.append(FileFault(images[stem], "no mask", sentence))
    for stem in sorted(masks.keys() - images.keys()):
        sentence = f"no image {part / 'images' / stem}.jpg or .png; add it or remove the mask"
        faults.append(FileFault(masks[stem], "no image", sentence))
    both = [path for stem, path in images.items() if stem in masks]
    return tuple(ImageFiles(path.stem, path, masks[path.stem]) for path in sorted(both))


def _by_stem(directory: Path, suffixes: Sequence[str], faults: list[FileFault]) -> dict[str, Path]:
    by_stem: dict[str, Path] = {}
    try:
        for path in sorted(directory.iterdir()):
            if path.suffix.lower() in suffixes and not path.name.startswith("."):
                if path.stem in by_stem:
                    sentence = f"{by_stem[path.stem].name} has the same name; remove one of them"
                    faults.append(FileFault(path, "same name", sentence))
                else:
                    by_stem[path.stem] = path
    except OSError as error:
        layout = "the layout is train/images/*.jpg with train/masks/*.png"
        raise DataError(f"{directory}: {error.strerror or error}; {layout}") from error
    return by_stem
