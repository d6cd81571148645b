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

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from search.errors import DataError
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")

MASK_SUFFIXES = (".png",)

TEST = "test"

AHEAD = 64
"""How many decoded pairs may wait for whoever stores them."""

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
"""What Pillow raises on damaged files; a SyntaxError is a broken PNG's."""


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
    """

    root: Path
    train: tuple[ImageFiles, ...]
    val: tuple[ImageFiles, ...] | None
    classes: tuple[str, ...]
    mirror_pairs: tuple[tuple[int, int], ...] | None


def scan(root: Path | None) -> DataFolder:
    """Finds the pairs and classes of a folder, without opening an image.

    Raises:
        DataError: no folder, no images, an image or a mask without its other half, a wrong dataset.yaml.
    """
    if root is None:
        raise DataError("no data folder: name one with --data or SEARCH_DATA")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name one with --data or SEARCH_DATA")
    dataset = _dataset(root / "dataset.yaml")
    return DataFolder(
        root=root,
        train=_pairs(root / "train"),
        val=_pairs(root / "val") if (root / "val").exists() else None,
        classes=dataset.classes,
        mirror_pairs=dataset.mirror_pairs,
    )


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


def _dataset(path: Path) -> _Dataset:
    if not path.exists():
        return _Dataset(classes=CLASSES, mirror_pairs=MIRROR_PAIRS)
    try:
        return _Dataset.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise DataError(f"{path}: {place + ': ' if place else ''}{what}") from error
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from error


def labelled_test(root: Path) -> tuple[ImageFiles, ...]:
    """The pairs of the labelled test split, sorted by the image's file name.

    Raises:
        DataError: there is none; images without masks are none.
    """
    part = root / TEST
    if not _holds(part / "masks", MASK_SUFFIXES):
        masks = f"put them into {part / 'masks'}, named like the images, or leave --final away"
        if _holds(part / "images", IMAGE_SUFFIXES):
            raise DataError(f"{part}: images without masks are no labelled test split; {masks}")
        raise DataError(f"{part}: no labelled test split: no images with masks; {masks}")
    return _pairs(part)


def _holds(directory: Path, suffixes: Sequence[str]) -> bool:
    return directory.is_dir() and any(path.suffix.lower() in suffixes for path in directory.iterdir())


def _pairs(part: Path) -> tuple[ImageFiles, ...]:
    """The pairs of `train`, `val` or `test`, sorted by the image's file name."""
    images, masks = _by_stem(part / "images", IMAGE_SUFFIXES), _by_stem(part / "masks", MASK_SUFFIXES)
    if not images:
        raise DataError(f"{part / 'images'}: no {', '.join(IMAGE_SUFFIXES)} file in it")
    for stem in sorted(images.keys() ^ masks.keys()):
        if stem in images:
            raise DataError(
                f"{images[stem]}: no mask {part / 'masks' / stem}.png; add it or remove the image"
            )
        raise DataError(
            f"{masks[stem]}: no image {part / 'images' / stem}.jpg or .png; add it or remove the mask"
        )
    return tuple(ImageFiles(path.stem, path, masks[path.stem]) for path in sorted(images.values()))


def _by_stem(directory: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    try:
        for path in sorted(directory.iterdir()):
            if path.suffix.lower() in suffixes and not path.name.startswith("."):
                if path.stem in found:
                    raise DataError(
                        f"{path}: {found[path.stem].name} has the same name; remove one of them"
                    )
                found[path.stem] = path
    except OSError as error:
        layout = "the layout is train/images/*.jpg with train/masks/*.png"
        raise DataError(f"{directory}: {error.strerror or error}; {layout}") from error
    return found


def decode(
    pairs: Sequence[ImageFiles],
    image_size: int,
    classes: int,
    eval_size: int | Literal["native"] | None = None,
) -> Iterator[dict[str, NDArray[np.uint8]]]:
    """Reads pairs in order, by several threads.

    Args:
        image_size: side of images and masks in pixels; other sizes and shapes are resized to it.
        classes: how many there are; a mask's values are below.
        eval_size: side of `targets`, the masks to be scored against; `native` leaves them at their own
            size, which must be the same for all; None gives none.

    Yields:
        images (3, S, S) RGB, masks (S, S), and targets (He, We) where asked for; all uint8.

    Raises:
        DataError: a file that cannot be read, is no mask, has a class out of range, or differs in size.
    """
    size_of_targets = None if eval_size == "native" else eval_size

    def read(pair: ImageFiles) -> dict[str, NDArray[np.uint8]]:
        image, mask = _open(pair.image), _open_mask(pair.mask, classes)
        if image.size != mask.size:
            raise DataError(f"{pair.mask}: {_size(mask)}, its image {_size(image)}; make them the same")
        row = {"images": _rgb(image, image_size), "masks": _labels(mask, image_size)}
        if eval_size is not None:
            row["targets"] = _labels(mask, size_of_targets)
        return row

    first: tuple[int, ...] | None = None
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(pairs), AHEAD):
            some = pairs[start : start + AHEAD]
            for pair, row in zip(some, pool.map(read, some), strict=True):
                if eval_size is not None:
                    shape = row["targets"].shape
                    first = first or shape
                    if shape != first:
                        raise DataError(
                            f"{pair.mask}: {shape[1]} x {shape[0]} pixels, but {pairs[0].mask} has "
                            f"{first[1]} x {first[0]}; set data.eval_size to a number"
                        )
                yield row


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: not an image; replace or remove it") from error
    except UNREADABLE as error:
        raise DataError(f"{path}: a damaged image ({error}); replace or remove it") from error


def _open_mask(path: Path, classes: int) -> Image.Image:
    """A mask as an image of mode L whose values are the classes."""
    mask = _open(path)
    if mask.mode not in ("P", "L", "1"):
        raise DataError(f"{path}: a mask of mode {mask.mode}; save classes as palette indices or greyscale")
    labels = np.asarray(mask).astype(np.uint8)  # indices of a palette, which convert("L") would look up
    if labels.max() >= classes:
        raise DataError(f"{path}: class {labels.max()}; the {classes} classes are 0 to {classes - 1}")
    return Image.fromarray(labels)


def _rgb(image: Image.Image, size: int) -> NDArray[np.uint8]:
    resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))


def _labels(mask: Image.Image, size: int | None) -> NDArray[np.uint8]:
    return np.asarray(mask if size is None else mask.resize((size, size), Image.Resampling.NEAREST))


def _size(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"
