"""A dataset.yaml proposed from the masks of a folder that has none: a draft to be read and corrected.

Nothing is known of the classes but the values or colours in the masks, so they are called `class 0`, `class
1`, and so on, with what each was found to be in a comment.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.errors import DataError
from search.mseg.data.decoding import in_order
from search.mseg.data.description import described_in
from search.mseg.data.faults import FileFault, FileFaults
from search.mseg.data.labels import IGNORED, MOST_CLASSES
from search.mseg.data.layout import ImageFiles, scan
from search.mseg.data.masks import colour_codes, raw_mask
from search.mseg.data.problems import FEW, LOOK_AT, RESOLUTION, mirror_pairs

IGNORED_VALUES = (255, 65535)
"""Values that mean 'no label' where they are above the numbers of the classes."""

IGNORED_COLOURS = ((224, 224, 192), (255, 255, 255))
"""Colours that usually mean 'no label': VOC's borders, white."""


@dataclass
class Found:
    """What is in the masks: pixels, and masks, by value or colour; and some masks, small, as codes."""

    coloured: bool
    pixels: Counter[int] = field(default_factory=Counter)
    masks: Counter[int] = field(default_factory=Counter)
    small: list[NDArray[np.int32]] = field(default_factory=list)


def propose(root: Path | None) -> str:
    """The text of a dataset.yaml for the folder `root`.

    Raises:
        DataError: there is no such folder, it has a dataset.yaml, or its masks cannot be read.
    """
    files = scan(root)
    if (described := described_in(files.root)) is not None:
        raise DataError(f"{described}: describes the data already; edit it, or move it away")
    masks = (*files.train, *(files.val or ()))
    found = _look(masks)
    if len(found.pixels) > MOST_CLASSES + 1:
        what = "colours" if found.coloured else "values"
        raise DataError(
            f"{masks[0].mask.parent}: the masks hold {len(found.pixels)} {what}, more than {MOST_CLASSES} "
            "classes: they look interpolated, or saved as JPEG once; export them again"
        )
    ignored = _ignored(found)
    codes = sorted(code for code in found.pixels if code != ignored)
    if found.coloured:  # the most frequent first: augmentation fills with class 0
        codes.sort(key=lambda code: (-found.pixels[code], code))
    else:
        codes = list(range(max(codes, default=0) + 1))
    if not 2 <= len(codes) <= MOST_CLASSES:
        raise DataError(
            f"{masks[0].mask.parent}: the masks hold {len(codes)} classes; there may be 2 to {MOST_CLASSES}"
        )
    return "\n".join(_lines(files.root, len(masks), found, codes, ignored)) + "\n"


def _look(files: tuple[ImageFiles, ...]) -> Found:
    """Counts what is in the masks; all are read, a few at a time."""
    every, size = max(1, len(files) // LOOK_AT), (RESOLUTION, RESOLUTION)
    found: Found | None = None
    faults: list[FileFault] = []
    for index, codes in enumerate(in_order(_codes, files)):
        coloured = bool(codes.flat[0] < 0)
        found = found or Found(coloured)
        if coloured != found.coloured:
            kind = ("without colours, and other masks have some", "in colours, and other masks are not")
            faults.append(FileFault(files[index].mask, "kind", f"{kind[coloured]}; export all in one way"))
            continue
        kinds, counts = np.unique(codes, return_counts=True)
        found.pixels.update(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
        found.masks.update(kinds.tolist())
        if index % every == 0:
            small = Image.fromarray(codes).resize(size, Image.Resampling.NEAREST)
            found.small.append(np.asarray(small))
    if faults or found is None:
        raise FileFaults(faults)
    return found


def _codes(pair: ImageFiles) -> NDArray[np.int32]:
    """The values in a mask; a colour is a number below 0."""
    values = raw_mask(pair.mask)
    return values.astype(np.int32) if values.ndim == 2 else -1 - colour_codes(values)


def _ignored(found: Found) -> int | None:
    """The value or colour that looks like 'no label'."""
    if found.coloured:
        candidates = [-1 - (red << 16 | green << 8 | blue) for red, green, blue in IGNORED_COLOURS]
        present = [code for code in candidates if code in found.pixels and len(found.pixels) > 2]
        return present[0] if present else None
    most = max(found.pixels)
    others = [value for value in found.pixels if value != most]
    # 0 and 255 alone are the two classes of a binary mask, written as black and white.
    return most if most in IGNORED_VALUES and others and 0 < max(others) < MOST_CLASSES else None


def _lines(root: Path, count: int, found: Found, codes: list[int], ignored: int | None) -> Iterator[str]:
    total = found.pixels.total()

    def about(code: int) -> str:
        if code not in found.pixels:
            return "does not occur"
        share = found.pixels[code] / total
        return f"{100 * share:.2f} % of the pixels, in {found.masks[code]} of {count} masks"

    yield f"# Proposed from the {count} masks below {root}: read it, name the classes, correct it, and save"
    yield f"# it as {root / 'dataset.yaml'}. Class 0 is what augmentation fills with."
    yield "classes:"
    for number, code in enumerate(codes):
        yield f"  - class {number}  # {about(code)}"
    if ignored is not None:
        text = ignored if ignored >= 0 else _colour(ignored)
        yield f"ignore: {text}  # looks like 'no label': {about(ignored)}"
    if found.coloured:
        yield "colours:"
        for number, code in enumerate(codes):
            yield f"  - {_colour(code)}  # class {number}"
    pairs = _pairs(found, codes)
    if pairs:
        yield f"mirror_pairs: {[list(pair) for pair in pairs]}  # they sit mirror-wise"
    else:
        yield "mirror_pairs: []  # none sit mirror-wise"


def _colour(code: int) -> list[int]:
    value = -1 - code
    return [value >> 16, value >> 8 & 255, value & 255]


def _pairs(found: Found, codes: list[int]) -> list[tuple[int, int]]:
    """Classes that sit mirror-wise in the small masks, which may count on few of them only."""
    small = np.stack(found.small)
    numbers = np.full(small.shape, IGNORED, np.uint8)
    for number, code in enumerate(codes):
        numbers[small == code] = number
    return mirror_pairs(numbers, len(codes), at_least=min(FEW, len(small)))
