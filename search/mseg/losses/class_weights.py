"""Weights of classes by how often the training masks have them.

C classes, N images.
"""

import torch
from torch import Tensor


def frequencies(masks: Tensor, classes: int) -> Tensor:
    """By class, its share of the valid pixels of the images that have it: (C,) float64; NaN if none does.

    Args:
        masks: (N, H, W) uint8, classes or IGNORED.
    """
    pixels, of = torch.zeros(2, classes, dtype=torch.float64)
    for mask in masks:
        counts = torch.bincount(mask.flatten(), minlength=256)[:classes].cpu()
        pixels += counts
        of += (counts > 0) * counts.sum()
    return pixels / of


def median_frequency(frequencies: Tensor) -> Tensor:
    """The median of the frequencies over a class's own (Eigen and Fergus 2015, arXiv:1411.4734).

    A class that no training mask has gets 1.
    """
    return (frequencies.nanquantile(0.5) / frequencies).nan_to_num(1.0)


def sqrt_median_frequency(frequencies: Tensor) -> Tensor:
    """The square root of `median_frequency`: rare classes gain, but less."""
    return median_frequency(frequencies).sqrt()


CLASS_WEIGHTS = {"median_frequency": median_frequency, "sqrt_median_frequency": sqrt_median_frequency}
"""By class, of their frequencies (C,)."""
