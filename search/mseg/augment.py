"""Augmentation of a batch on its device, image and mask together.

Ranges and meanings are kornia's (`RandomHorizontalFlip`, `RandomRotation`, `RandomAffine`,
`ColorJiggle`, `RandomMixUpV2`, `RandomCutMixV2`). Flip, rotation, scale and translation of an image are
composed into one matrix and sampled once: one interpolation blurs less than three and costs less.
Images that are only mirrored are copied without interpolation; the others are not touched.

**A flip swaps left and right labels**: a mirrored left eye is where right eyes are, and gets their label.

All random numbers are drawn on the host, which therefore knows which images change: nothing waits for the
device, and unchanged images cost nothing but their copy. kornia is imported only where it is used: that
takes a fifth as long as importing torch, and the quick profile needs none of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor


class AugmentConfig(BaseModel):
    """The section `augment` of space.yaml. Probabilities are per image, from 0 (never) to 1 (always)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: float = Field(0.5, ge=0, le=1, description="probability of a left-right mirror image")
    rotation: float = Field(0.3, ge=0, le=1, description="probability of a rotation about the centre")
    rotation_degrees: float = Field(
        15.0, ge=0, le=180, description="largest angle to either side, in degrees, 0 to 180"
    )
    affine: float = Field(0.3, ge=0, le=1, description="probability of a scaling with a translation")
    scale: float = Field(
        0.1, ge=0, le=0.9, description="largest change of size, 0 to 0.9: 0.1 draws factors from 0.9 to 1.1"
    )
    translation: float = Field(
        0.05, ge=0, le=1, description="largest translation per axis as a share of the side, 0 to 1"
    )
    colour: float = Field(0.5, ge=0, le=1, description="probability of a change of colours")
    brightness: float = Field(
        0.2, ge=0, le=1, description="largest value added to all channels or taken off, 0 to 1 (white)"
    )
    contrast: float = Field(
        0.2, ge=0, le=1, description="channels are multiplied by 1 - contrast to 1 + contrast, 0 to 1"
    )
    saturation: float = Field(
        0.1,
        ge=0,
        le=1,
        description="the HSV saturation is multiplied likewise, 0 to 1",
    )
    mixup: float = Field(0.0, ge=0, le=1, description="probability of being mixed with another image")
    mixup_alpha: float = Field(
        0.2,
        gt=0,
        allow_inf_nan=False,
        description="the image's share is drawn from Beta(alpha, alpha), alpha above 0",
    )
    cutmix: float = Field(0.0, ge=0, le=1, description="probability of a rectangle from another image")
    cutmix_alpha: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="the area that stays is drawn from Beta(alpha, alpha), alpha above 0",
    )


def augment(
    images: Tensor,
    masks: Tensor,
    config: AugmentConfig,
    mirror_pairs: Sequence[tuple[int, int]],
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Augment each image at random, and its mask with it.

    Args:
        images: (B, 3, H, W) float32 in [0, 1].
        masks: (B, H, W) uint8 classes, on the same device.
        mirror_pairs: the classes that change places in a mirror image.
        generator: on the CPU. Every call draws from it once and derives all random numbers from that.
            None: torch's default one.

    Returns:
        New tensors of the same shapes, types and device. What moves in from outside is black, class 0.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    images, masks = images.clone(), masks.clone()
    _move(images, masks, config, mirror_pairs, rng)
    _colour(images, config, rng)
    _mixup(images, masks, config, rng)
    _cutmix(images, masks, config, rng)
    return images, masks


def _move(
    images: Tensor,
    masks: Tensor,
    config: AugmentConfig,
    mirror_pairs: Sequence[tuple[int, int]],
    rng: np.random.Generator,
) -> None:
    """Flip, then rotation, then scale and translation, in place."""
    count, _, height, width = images.shape
    flipped = rng.random(count) < config.flip
    turned = rng.random(count) < config.rotation
    scaled = rng.random(count) < config.affine
    degrees = turned * rng.uniform(-config.rotation_degrees, config.rotation_degrees, count)
    factor = 1 + scaled * rng.uniform(-config.scale, config.scale, count)
    shift = scaled[:, None] * rng.uniform(-config.translation, config.translation, (count, 2))
    warped = (degrees != 0) | (factor != 1) | (shift != 0).any(axis=1)
    mirrored = flipped & ~warped

    if flipped.any():
        chosen = _send(np.flatnonzero(flipped), masks)
        masks[chosen] = _exchange(masks[chosen], mirror_pairs)
    if mirrored.any():
        chosen = _send(np.flatnonzero(mirrored), masks)
        images[chosen] = images[chosen].flip(-1)
        masks[chosen] = masks[chosen].flip(-1)
    if warped.any():
        chosen = _send(np.flatnonzero(warped), masks)
        sources = _sources(height, width, flipped[warped], degrees[warped], factor[warped], shift[warped])
        grid = _grid(_send(sources, images), height, width)
        images[chosen] = F.grid_sample(images[chosen], grid, "bilinear", "zeros", align_corners=False)
        moved = F.grid_sample(masks[chosen, None].float(), grid, "nearest", "zeros", align_corners=False)
        masks[chosen] = moved[:, 0].to(masks.dtype)


def _sources(
    height: int,
    width: int,
    flipped: NDArray[Any],
    degrees: NDArray[Any],
    factor: NDArray[Any],
    shift: NDArray[Any],
) -> NDArray[np.float32]:
    """The maps from output to input positions, (n, 2, 3), in the coordinates of `F.grid_sample`.

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
    return (unit @ np.linalg.inv(unit @ forward))[:, :2].astype(np.float32)


def _grid(sources: Tensor, height: int, width: int) -> Tensor:
    """Input positions of all output pixels, (n, H, W, 2): what `F.affine_grid` does, five times as fast."""
    x = (2 * torch.arange(width, device=sources.device) + 1) / width - 1
    y = (2 * torch.arange(height, device=sources.device) + 1) / height - 1
    by_x, by_y, constant = sources[:, None, None].unbind(-1)
    return by_x * x[:, None] + (by_y * y[:, None, None] + constant)


def _exchange(masks: Tensor, mirror_pairs: Sequence[tuple[int, int]]) -> Tensor:
    """The masks with the two classes of each pair swapped."""
    table = np.arange(256, dtype=np.uint8)
    for one, other in mirror_pairs:
        table[one], table[other] = other, one
    return _send(table, masks).index_select(0, masks.flatten().int()).view_as(masks)


def _colour(images: Tensor, config: AugmentConfig, rng: np.random.Generator) -> None:
    """Brightness, contrast and saturation, in an order drawn for the whole batch, in place."""
    count = len(images)
    changed = rng.random(count) < config.colour
    amounts = (
        rng.uniform(-config.brightness, config.brightness, count),
        rng.uniform(1 - config.contrast, 1 + config.contrast, count),
        rng.uniform(1 - config.saturation, 1 + config.saturation, count),
    )
    order = rng.permutation(len(amounts))
    if changed.any():
        from kornia.enhance import adjust_brightness, adjust_contrast, adjust_saturation

        adjusts = (adjust_brightness, adjust_contrast, adjust_saturation)
        chosen = _send(np.flatnonzero(changed), images)
        pixels = images[chosen]
        for step in order:
            pixels = adjusts[step](pixels, _send(amounts[step][changed].astype(np.float32), images))
        images[chosen] = pixels


def _mixup(images: Tensor, masks: Tensor, config: AugmentConfig, rng: np.random.Generator) -> None:
    """MixUp (Zhang et al. 2018, arXiv:1710.09412), in place; the mask is that of the larger share."""
    count = len(images)
    mixed = rng.random(count) < config.mixup
    share = rng.beta(config.mixup_alpha, config.mixup_alpha, count)
    partner = rng.permutation(count)
    if mixed.any():
        chosen, partners = _send(np.flatnonzero(mixed), images), _send(partner[mixed], images)
        weight = _send(share[mixed].astype(np.float32), images)[:, None, None, None]
        images[chosen] = torch.lerp(images[partners], images[chosen], weight)
        masks[chosen] = torch.where(weight[:, 0] < 0.5, masks[partners], masks[chosen])


def _cutmix(images: Tensor, masks: Tensor, config: AugmentConfig, rng: np.random.Generator) -> None:
    """CutMix (Yun et al. 2019, arXiv:1905.04899), in place: a rectangle of another image and its mask."""
    count, _, height, width = images.shape
    cut = rng.random(count) < config.cutmix
    side = np.sqrt(1 - rng.beta(config.cutmix_alpha, config.cutmix_alpha, count))
    size = (side[:, None] * (height, width)).astype(np.int64)
    start = rng.integers(0, (height, width) - size, endpoint=True)
    partner = rng.permutation(count)
    if cut.any():
        chosen, partners = _send(np.flatnonzero(cut), images), _send(partner[cut], images)
        top, left = _send(start[cut], images)[:, :, None, None].unbind(1)
        bottom, right = _send((start + size)[cut], images)[:, :, None, None].unbind(1)
        y = torch.arange(height, device=images.device)[:, None]
        x = torch.arange(width, device=images.device)
        inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
        images[chosen] = torch.where(inside[:, None], images[partners], images[chosen])
        masks[chosen] = torch.where(inside, masks[partners], masks[chosen])


def _send(values: NDArray[Any], like: Tensor) -> Tensor:
    """`values` on the device of `like`, without waiting for the device."""
    return torch.from_numpy(values).to(like.device, non_blocking=True)
