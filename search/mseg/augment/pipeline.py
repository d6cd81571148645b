"""Augmentation of a batch on its device, image and mask together.

Ranges and meanings are kornia's (`RandomHorizontalFlip`, `RandomRotation`, `RandomAffine`,
`RandomResizedCrop`, `ColorJiggle`, `RandomErasing`, `RandomMixUpV2`, `RandomCutMixV2`, and those that
PHOTOMETRIC names).

All random numbers are drawn on the host, which therefore knows which images change: nothing waits for the
device, and unchanged images cost nothing but their copy. kornia is imported only where it is used: that
takes a fifth as long as importing torch, and the quick profile needs none of it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from search.document.options import options_of
from search.mseg.augment.batch import Stream, send, streams
from search.mseg.augment.colour import colour
from search.mseg.augment.geometry import move
from search.mseg.augment.mixing import cutmix, cutout, mixup
from search.mseg.augment.photometric import PHOTOMETRIC
from search.mseg.augment.settings import AugmentSettings

OPTIONS = {name: tuple(options_of(entry)) for name, entry in PHOTOMETRIC.items()}


def augment(
    images: Tensor,
    masks: Tensor,
    config: AugmentSettings,
    mirror_pairs: Sequence[tuple[int, int]],
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Augment each image at random, and its mask with it.

    Args:
        images: (B, 3, H, W) float32 in [0, 1].
        masks: (B, H, W) uint8 classes or IGNORED, on the same device.
        mirror_pairs: the classes that change places in a mirror image.
        generator: on the CPU. Every call draws from it once and derives all random numbers from that.
            None: torch's default one.

    Returns:
        New tensors of the same shapes, types and device. What moves in from outside is black, and class 0
        or with `fill: ignored` IGNORED.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    rng, stream = np.random.default_rng(seed), streams(seed)
    images, masks = images.clone(), masks.clone()
    move(images, masks, config, mirror_pairs, rng, stream)
    colour(images, config, rng)
    _change_pixels(images, config, stream)
    cutout(images, masks, config, stream)
    mixup(images, masks, config, rng)
    cutmix(images, masks, config, rng)
    return images, masks


def _change_pixels(images: Tensor, config: AugmentSettings, stream: Stream) -> None:
    """Every entry of PHOTOMETRIC that is on, in place."""
    for name, change in PHOTOMETRIC.items():
        if probability := getattr(config, name):
            rng = stream(name)
            changed = np.flatnonzero(rng.random(len(images)) < probability)
            if len(changed):
                chosen = send(changed, images)
                options = {option: getattr(config, option) for option in OPTIONS[name]}
                images[chosen] = change(images[chosen], rng, **options)
