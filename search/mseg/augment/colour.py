"""Colour jitter: brightness, contrast and saturation, as kornia's `ColorJiggle` has them."""

import numpy as np
from torch import Tensor

from search.mseg.augment.batch import send
from search.mseg.augment.settings import AugmentSettings


def colour(images: Tensor, config: AugmentSettings, rng: np.random.Generator) -> None:
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
        chosen = send(np.flatnonzero(changed), images)
        pixels = images[chosen]
        for step in order:
            pixels = adjusts[step](pixels, send(amounts[step][changed].astype(np.float32), images))
        images[chosen] = pixels
