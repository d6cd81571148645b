"""Augmentations by rectangles and other images of the batch, in place.

What a partner's mask ignores is ignored where its mask is taken over, and nowhere else.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.mseg.augment.batch import Stream, draw_sizes, send
from search.mseg.augment.settings import AugmentSettings


def cutout(images: Tensor, masks: Tensor, config: AugmentSettings, stream: Stream) -> None:
    """Random erasing (Zhong et al. 2017, arXiv:1708.04896): a rectangle turns black.

    The mask keeps its classes there, to be guessed from what is around, or with `fill: ignored` is ignored.
    """
    if not config.cutout:
        return
    count, _, height, width = images.shape
    rng = stream("cutout")
    hidden = rng.random(count) < config.cutout
    shares = draw_sizes(count, config.cutout_area_min, config.cutout_area_max, config.cutout_aspect, rng)
    size = np.maximum(1, np.rint(shares[:, ::-1] * (height, width))).astype(np.int64)
    start = rng.integers(0, (height, width) - size, endpoint=True)
    if hidden.any():
        chosen = send(np.flatnonzero(hidden), images)
        inside = _rectangles(start[hidden], size[hidden], images)
        images[chosen] = images[chosen].masked_fill_(inside[:, None], 0)
        if config.fill == "ignored":
            masks[chosen] = masks[chosen].masked_fill_(inside, config.outside)


def mixup(images: Tensor, masks: Tensor, config: AugmentSettings, rng: np.random.Generator) -> None:
    """MixUp (Zhang et al. 2018, arXiv:1710.09412), in place; the mask is that of the larger share."""
    count = len(images)
    mixed = rng.random(count) < config.mixup
    share = rng.beta(config.mixup_alpha, config.mixup_alpha, count)
    partner = rng.permutation(count)
    if mixed.any():
        chosen, partners = send(np.flatnonzero(mixed), images), send(partner[mixed], images)
        weight = send(share[mixed].astype(np.float32), images)[:, None, None, None]
        images[chosen] = torch.lerp(images[partners], images[chosen], weight)
        masks[chosen] = torch.where(weight[:, 0] < 0.5, masks[partners], masks[chosen])


def cutmix(images: Tensor, masks: Tensor, config: AugmentSettings, rng: np.random.Generator) -> None:
    """CutMix (Yun et al. 2019, arXiv:1905.04899), in place: a rectangle of another image and its mask."""
    count, _, height, width = images.shape
    cut = rng.random(count) < config.cutmix
    side = np.sqrt(1 - rng.beta(config.cutmix_alpha, config.cutmix_alpha, count))
    size = (side[:, None] * (height, width)).astype(np.int64)
    start = rng.integers(0, (height, width) - size, endpoint=True)
    partner = rng.permutation(count)
    if cut.any():
        chosen, partners = send(np.flatnonzero(cut), images), send(partner[cut], images)
        inside = _rectangles(start[cut], size[cut], images)
        images[chosen] = torch.where(inside[:, None], images[partners], images[chosen])
        masks[chosen] = torch.where(inside, masks[partners], masks[chosen])


def _rectangles(start: NDArray[np.int64], size: NDArray[np.int64], images: Tensor) -> Tensor:
    """Where the rectangles from `start` (top, left) of `size` (height, width) are: (n, H, W) bool."""
    top, left = send(start, images)[:, :, None, None].unbind(1)
    bottom, right = send(start + size, images)[:, :, None, None].unbind(1)
    y = torch.arange(images.shape[2], device=images.device)[:, None]
    x = torch.arange(images.shape[3], device=images.device)
    return (y >= top) & (y < bottom) & (x >= left) & (x < right)
