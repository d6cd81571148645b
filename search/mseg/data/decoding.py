"""Pairs of images and masks, read by several threads and resized."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.mseg.data.faults import FileFault, FileFaults
from search.mseg.data.layout import ImageFiles
from search.mseg.data.pictures import Noted, formats, read_mask, read_photo

AHEAD = 64
"""How many decoded pairs may wait for whoever stores them."""


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
        images (3, S, S) RGB, masks (S, S), notes (1,), which are flags of `Noted`, and targets (He, We)
        where asked for; all uint8. After the first fault nothing more is yielded, but all is read.

    Raises:
        FileFaults: files that cannot be read, are no masks, have a class out of range, or differ in size.
    """
    formats()  # registers them before there are threads
    size_of_targets = None if eval_size == "native" else eval_size

    def read(pair: ImageFiles) -> dict[str, NDArray[np.uint8]] | FileFault:
        try:
            return _row(pair, image_size, classes, eval_size is not None, size_of_targets)
        except FileFault as fault:
            return fault

    faults: list[FileFault] = []
    first: tuple[ImageFiles, tuple[int, ...]] | None = None
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(pairs), AHEAD):
            some = pairs[start : start + AHEAD]
            for pair, row in zip(some, pool.map(read, some), strict=True):
                if isinstance(row, FileFault):
                    faults.append(row)
                    continue
                if eval_size is not None:
                    shape = row["targets"].shape
                    first = first or (pair, shape)
                    if shape != first[1]:
                        faults.append(_other_size(pair, shape, *first))
                if not faults:
                    yield row
    if faults:
        raise FileFaults(faults)


def _row(
    pair: ImageFiles, image_size: int, classes: int, scored: bool, size_of_targets: int | None
) -> dict[str, NDArray[np.uint8]]:
    image, photo_notes = read_photo(pair.image)
    mask, mask_notes = read_mask(pair.mask, classes)
    if image.size != mask.size:
        as_shown = " as it is shown, turned by its EXIF orientation" if Noted.TURNED & photo_notes else ""
        raise FileFault(
            pair.mask, "size", f"{_size(mask)}, its image {_size(image)}{as_shown}; make them the same"
        )
    row = {
        "images": _resized(image, image_size),
        "masks": _labels(mask, image_size),
        "notes": np.array([photo_notes | mask_notes], np.uint8),
    }
    if scored:
        row["targets"] = _labels(mask, size_of_targets)
    return row


def _other_size(
    pair: ImageFiles, shape: tuple[int, ...], first: ImageFiles, first_shape: tuple[int, ...]
) -> FileFault:
    return FileFault(
        pair.mask,
        "native size",
        f"{shape[1]} x {shape[0]} pixels, but {first.mask} has {first_shape[1]} x {first_shape[0]}; "
        "set data.eval_size to a number",
    )


def _resized(image: Image.Image, size: int) -> NDArray[np.uint8]:
    resized = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))


def _labels(mask: Image.Image, size: int | None) -> NDArray[np.uint8]:
    return np.asarray(mask if size is None else mask.resize((size, size), Image.Resampling.NEAREST))


def _size(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"
