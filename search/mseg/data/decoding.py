"""Pairs of images and masks, read by several threads and brought to the training size."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.mseg.data.cache import Arrays
from search.mseg.data.faults import FileFault, FileFaults
from search.mseg.data.fitting import Fitting, Size
from search.mseg.data.labels import IGNORED, Labels
from search.mseg.data.layout import ImageFiles
from search.mseg.data.masks import mask_colours, read_mask
from search.mseg.data.pictures import Noted, formats, read_photo

AHEAD = 64
"""How many decoded pairs may wait for whoever stores them."""

Row = TypeVar("Row")


def decode(
    pairs: Sequence[ImageFiles],
    fitting: Fitting,
    labels: Labels,
    targets: Size | Literal["native"] | None = None,
) -> Iterator[Arrays]:
    """Reads pairs in order, by several threads; only a few are in memory at a time.

    Args:
        targets: size of `targets`, the masks to be scored against; `native`: each mask's own; None: none.

    Yields:
        images (3, H, W) RGB, masks (H, W), notes (1,) uint16, which are flags of `Noted`, size (2,) int32,
        the mask's own, and targets (He, We) where asked for; all others uint8.

    Raises:
        FileFaults: files that cannot be read, are no masks, or have a value that is no class.
    """

    palette = None
    with suppress(FileFault):  # reported when its turn comes
        palette = mask_colours(pairs[0].mask)

    def read(pair: ImageFiles) -> Arrays:
        image, photo_notes = read_photo(pair.image)
        mask, mask_notes = read_mask(pair.mask, labels, palette)
        if image.size != mask.size:
            turned = " as it is shown, turned by its EXIF orientation" if Noted.TURNED & photo_notes else ""
            sentence = f"{_size(mask)}, its image {_size(image)}{turned}; make them the same"
            raise FileFault(pair.mask, "size", sentence)
        fitted = fitting.mask(mask)
        notes = photo_notes | mask_notes | (Noted.PARTLY_IGNORED if (fitted == IGNORED).any() else 0)
        row: dict[str, NDArray[Any]] = {
            "images": fitting.image(image),
            "masks": fitted,
            "notes": np.array([notes], np.uint16),
            "size": np.array([mask.height, mask.width], np.int32),
        }
        if targets is not None:
            row["targets"] = np.asarray(mask) if targets == "native" else fitting.mask(mask, targets)
        return row

    return in_order(read, pairs)


def native_masks(pairs: Sequence[ImageFiles], labels: Labels) -> Iterator[NDArray[np.uint8]]:
    """The masks of `pairs` at their own sizes, (H, W) each, in order; raises like `decode`."""
    return in_order(lambda pair: np.asarray(read_mask(pair.mask, labels)[0]), pairs)


def in_order(read: Callable[[ImageFiles], Row], pairs: Sequence[ImageFiles]) -> Iterator[Row]:
    """What `read`, called by several threads, returns for each of `pairs`.

    Raises:
        FileFaults: by `read`. After the first one nothing more is yielded, but all is read.
    """
    formats()  # registers them before there are threads
    faults: list[FileFault] = []

    def attempt(pair: ImageFiles) -> Row | FileFault:
        try:
            return read(pair)
        except FileFault as fault:
            return fault

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(pairs), AHEAD):
            for row in pool.map(attempt, pairs[start : start + AHEAD]):
                if isinstance(row, FileFault):
                    faults.append(row)
                elif not faults:
                    yield row
    if faults:
        raise FileFaults(faults)


def _size(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"
