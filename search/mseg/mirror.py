"""Finds classes that sit mirror-wise, such as a left and a right eye.

A flip that keeps their labels teaches a network that left is right. A data set should name such pairs;
where it names none, this looks at where the classes are.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

LOOK_AT = 200  # masks
RESOLUTION = 128  # pixels to a side
CLOSE = 0.05  # of the side: how far from each other's mirror image two classes may be on average
ALIKE = 2.0  # largest ratio of their areas
AGREE = 0.9  # smallest share of the images showing both that have them on the same sides


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
        (x1, x2), (y1, y2), (area1, area2) = (values[both][:, [one, other]].mean(0) for values in (x, y, area))
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


def _places(masks: NDArray[np.uint8], classes: int) -> tuple[NDArray, NDArray, NDArray]:
    """Area and mean x and y of every class in every mask, (N, classes) each, as shares; NaN where absent."""
    count, height, width = masks.shape
    cell = (masks + classes * np.arange(count)[:, None, None]).ravel()
    x = np.broadcast_to((np.arange(width) + 0.5) / width, masks.shape).ravel()
    y = np.broadcast_to((np.arange(height)[:, None] + 0.5) / height, masks.shape).ravel()
    pixels, sum_x, sum_y = (
        np.bincount(cell, weights, minlength=count * classes).reshape(count, classes) for weights in (None, x, y)
    )
    with np.errstate(invalid="ignore"):
        return pixels / (height * width), sum_x / pixels, sum_y / pixels
