"""What the augmentations of a batch share: random numbers on the host, and their way to the device."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Stream = Callable[[str], np.random.Generator]
"""The random numbers of the augmentation of that name."""


def streams(seed: int) -> Stream:
    """Random numbers for one batch. Each augmentation has its own: switching one on changes no other."""
    return lambda name: np.random.default_rng([seed, *name.encode()])


def draw_sizes(
    count: int, least: float, most: float, aspect: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Widths and heights of windows as shares of the image's, (count, 2), above 0 to 1.

    The area is uniform between `least` and `most`. The ratio of width to height is log-uniform between
    1 / aspect and aspect, or as far as such a window fits.
    """
    area = rng.uniform(least, most, count)
    most_stretch = np.minimum(np.log(aspect), -np.log(area))
    stretch = np.exp(most_stretch * rng.uniform(-1, 1, count))
    return np.minimum(1, np.sqrt(np.stack([area * stretch, area / stretch], axis=1)))


def send(values: NDArray[Any], like: Tensor) -> Tensor:
    """`values` on the device of `like`, without waiting for the device."""
    return torch.from_numpy(values).to(like.device, non_blocking=True)


def send_float(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """One float32 per image on the device of `like`: (n, 1, 1, 1)."""
    return send(values.astype(np.float32)[:, None, None, None], like)
