"""Flip, rotation, scale, translation and crop of images and masks together.

All of them are composed into one matrix per image, which is sampled once: one interpolation blurs less than
four and costs less. Images that are only mirrored are copied without interpolation; the others are not
touched. Masks take the nearest pixel's label, IGNORED ones included.

**A flip swaps left and right labels**: a mirrored left eye is where right eyes are, and gets their label.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from search.mseg.augment.batch import Stream, draw_sizes, send
from search.mseg.augment.settings import AugmentSettings


def move(
    images: Tensor,
    masks: Tensor,
    config: AugmentSettings,
    mirror_pairs: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    stream: Stream,
) -> None:
    """Flip, then rotation, then scale and translation, then crop, in place."""
    count, _, height, width = images.shape
    flipped = rng.random(count) < config.flip
    turned = rng.random(count) < config.rotation
    scaled = rng.random(count) < config.affine
    degrees = turned * rng.uniform(-config.rotation_degrees, config.rotation_degrees, count)
    factor = 1 + scaled * rng.uniform(-config.scale, config.scale, count)
    shift = scaled[:, None] * rng.uniform(-config.translation, config.translation, (count, 2))
    warped = (degrees != 0) | (factor != 1) | (shift != 0).any(axis=1)
    windows = None
    if config.crop:
        cropped, windows = _windows(count, config, stream("crop"))
        warped |= cropped
    mirrored = flipped & ~warped

    if flipped.any():
        chosen = send(np.flatnonzero(flipped), masks)
        masks[chosen] = _exchange(masks[chosen], mirror_pairs)
    if mirrored.any():
        chosen = send(np.flatnonzero(mirrored), masks)
        images[chosen] = images[chosen].flip(-1)
        masks[chosen] = masks[chosen].flip(-1)
    if warped.any():
        chosen = send(np.flatnonzero(warped), masks)
        maps = sources(height, width, flipped[warped], degrees[warped], factor[warped], shift[warped])
        if windows is not None:
            maps = maps @ windows[warped]
        grid = grid_of(send(maps[:, :2].astype(np.float32), images), height, width)
        images[chosen] = F.grid_sample(images[chosen], grid, "bilinear", "zeros", align_corners=False)
        # Sampled as the difference from the label outside, as `zeros` is what padding gives; uint8 wraps.
        inside = (masks[chosen, None] - config.outside).float()
        moved = F.grid_sample(inside, grid, "nearest", "zeros", align_corners=False)
        masks[chosen] = moved[:, 0].to(masks.dtype) + config.outside


def _windows(
    count: int, config: AugmentSettings, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Random resized crop (Szegedy et al. 2015, arXiv:1409.4842): which images, and from where in them.

    Returns:
        (count,) bool, and (count, 3, 3): the maps from output positions to positions in the window, in the
        coordinates of `F.grid_sample`; the identity for the other images.
    """
    cropped = rng.random(count) < config.crop
    size = draw_sizes(count, config.crop_area_min, config.crop_area_max, config.crop_aspect, rng)
    centre = (1 - size) * rng.uniform(-1, 1, (count, 2))
    windows = np.tile(np.eye(3), (count, 1, 1))
    windows[cropped, [[0], [1]], [[0], [1]]] = size[cropped].T
    windows[cropped, :2, 2] = centre[cropped]
    return cropped, windows


def sources(
    height: int,
    width: int,
    flipped: NDArray[Any],
    degrees: NDArray[Any],
    factor: NDArray[Any],
    shift: NDArray[Any],
) -> NDArray[np.float64]:
    """The maps from output to input positions, (n, 3, 3), in the coordinates of `F.grid_sample`.

    Args:
        flipped: (n,) bool. degrees: (n,) counter-clockwise. factor: (n,), above 1 enlarges.
        shift: (n, 2) to the right and down, as shares of width and height.
    """
    from kornia.geometry.transform import get_affine_matrix2d

    count = len(flipped)
    forward = get_affine_matrix2d(
        translations=torch.from_numpy(shift * (width, height)),
        center=torch.tensor([[(width - 1) / 2, (height - 1) / 2]], dtype=torch.float64).expand(count, 2),
        scale=torch.from_numpy(factor)[:, None].expand(count, 2),
        angle=torch.from_numpy(-degrees),  # clockwise here, unlike kornia's RandomRotation
    ).numpy()
    mirror = np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    forward = np.where(flipped[:, None, None], forward @ mirror, forward)
    # Pixel centres to where -1 and 1 are the outer edges of the first and the last pixel.
    unit = np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])
    return unit @ np.linalg.inv(unit @ forward)


def grid_of(maps: Tensor, height: int, width: int) -> Tensor:
    """Input positions of all output pixels, (n, H, W, 2): what `F.affine_grid` does, five times as fast."""
    x = (2 * torch.arange(width, device=maps.device) + 1) / width - 1
    y = (2 * torch.arange(height, device=maps.device) + 1) / height - 1
    by_x, by_y, constant = maps[:, None, None].unbind(-1)
    return by_x * x[:, None] + (by_y * y[:, None, None] + constant)


def _exchange(masks: Tensor, mirror_pairs: Sequence[tuple[int, int]]) -> Tensor:
    """The masks with the two classes of each pair swapped; IGNORED stays."""
    table = np.arange(256, dtype=np.uint8)
    for one, other in mirror_pairs:
        table[one], table[other] = other, one
    return send(table, masks).index_select(0, masks.flatten().int()).view_as(masks)
