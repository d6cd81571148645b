"""What looks wrong with data that can be trained on.

Images on both sides of the split make a score too good. And a flip that leaves labels as they are
teaches that left is right wherever two classes sit mirror-wise, such as a left and a right eye; a data
set should name such pairs, and where it names none, they are looked for.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.mseg.data.contents import Content
from search.mseg.data.layout import DataFolder, ImageFiles

Shares = NDArray[np.float64]

LOOK_AT = 200  # masks
RESOLUTION = 128  # pixels to a side
CLOSE = 0.05  # of the side: how far from each other's mirror image two classes may be on average
ALIKE = 2.0  # largest ratio of their areas
AGREE = 0.8  # smallest share of the images showing both that have them on the same sides


def leaks(
    train: Sequence[ImageFiles], val: Sequence[ImageFiles], known: Mapping[Path, Content]
) -> list[str]:
    """Says which validation images are trained on."""
    trained_on = {known[pair.image].sha256 for pair in train}
    leaked = [pair.image for pair in val if known[pair.image].sha256 in trained_on]
    if not leaked:
        return []
    return [f"{len(leaked)} of {len(val)} validation images are training images too, {leaked[0]} for one"]


def unnamed_pairs(folder: DataFolder, masks: NDArray[np.uint8]) -> list[str]:
    """Says which classes a flip would confuse, where dataset.yaml is silent on it."""
    if folder.mirror_pairs is not None:
        return []
    found = mirror_pairs(masks, len(folder.classes))
    if not found:
        return []
    names = ", ".join(f"{folder.classes[one]} and {folder.classes[other]}" for one, other in found)
    return [
        f"{names} sit mirror-wise, and a flip would give each the other's place under its own label: add "
        f"`mirror_pairs: {[list(pair) for pair in found]}` to {folder.root / 'dataset.yaml'}, "
        f"or `mirror_pairs: []` if that is meant"
    ]


def mirror_pairs(masks: NDArray[np.uint8], classes: int) -> list[tuple[int, int]]:
    """Pairs of classes, each class in one pair at most, the best mirrored first.

    Args:
        masks: (N, H, W) uint8, values below `classes`. Class 0 is the background and never in a pair.
    """
    step = max(1, masks.shape[1] // RESOLUTION)
    masks = masks[:: max(1, len(masks) // LOOK_AT), ::step, ::step]
    area, x, y = _places(masks, classes)

    candidates = []
    for one, other in combinations(range(1, classes), 2):
        both = (area[:, one] > 0) & (area[:, other] > 0)
        if not both.any():
            continue
        (x1, x2), (y1, y2), (area1, area2) = (
            values[both][:, [one, other]].mean(0) for values in (x, y, area)
        )
        distance = np.hypot(x1 + x2 - 1, y1 - y2)
        right_of = (x[both, one] > x[both, other]).mean()
        if (
            distance < CLOSE
            and max(area1, area2) < ALIKE * min(area1, area2)
            and max(right_of, 1 - right_of) >= AGREE
            and abs(x1 - x2) > CLOSE
        ):
            candidates.append((distance, one, other))

    pairs: list[tuple[int, int]] = []
    for _, one, other in sorted(candidates):
        if not any(one in pair or other in pair for pair in pairs):
            pairs.append((one, other))
    return pairs


def _places(masks: NDArray[np.uint8], classes: int) -> tuple[Shares, Shares, Shares]:
    """Area, mean x and mean y of each class in each mask, (N, classes), as shares; NaN where absent."""
    count, height, width = masks.shape
    cell = (masks + classes * np.arange(count)[:, None, None]).ravel()
    x = np.broadcast_to((np.arange(width) + 0.5) / width, masks.shape).ravel()
    y = np.broadcast_to((np.arange(height)[:, None] + 0.5) / height, masks.shape).ravel()
    pixels, sum_x, sum_y = (
        np.bincount(cell, weights, minlength=count * classes).reshape(count, classes)
        for weights in (None, x, y)
    )
    with np.errstate(invalid="ignore"):
        return pixels / (height * width), sum_x / pixels, sum_y / pixels
