"""Augmentations that change an image and leave its mask alone: the registry PHOTOMETRIC.

Ranges and meanings are kornia's (`ColorJiggle`, `RandomGamma`, `RandomGaussianBlur`,
`RandomGaussianNoise`), except that noise does not leave 0 to 1.
"""

from collections.abc import Callable
from math import ceil
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from search.mseg.augment.batch import send, send_float


def hue(
    images: Tensor,
    rng: np.random.Generator,
    *,
    hue_shift: Annotated[
        float,
        Field(ge=0, le=0.5, description="largest turn as a share of the colour circle, 0 to 0.5"),
    ] = 0.05,
) -> Tensor:
    """A turn of the HSV hue to either side."""
    from kornia.enhance import adjust_hue

    radians = 2 * np.pi * rng.uniform(-hue_shift, hue_shift, len(images))
    return adjust_hue(images, send(radians.astype(np.float32), images))


def gamma(
    images: Tensor,
    rng: np.random.Generator,
    *,
    gamma_min: Annotated[
        float, Field(gt=0, le=10, description="smallest exponent, above 0 to 10; below 1 brightens")
    ] = 0.7,
    gamma_max: Annotated[
        float, Field(gt=0, le=10, description="largest exponent, above 0 to 10; above 1 darkens")
    ] = 1.5,
) -> Tensor:
    """A power of all channels."""
    return images.pow(send_float(rng.uniform(gamma_min, gamma_max, len(images)), images))


def blur(
    images: Tensor,
    rng: np.random.Generator,
    *,
    blur_sigma_min: Annotated[
        float, Field(gt=0, le=10, description="smallest standard deviation in pixels, above 0 to 10")
    ] = 0.1,
    blur_sigma_max: Annotated[
        float, Field(gt=0, le=10, description="largest standard deviation in pixels, above 0 to 10")
    ] = 2.0,
) -> Tensor:
    """A Gaussian blur, cut off at three of the largest standard deviations.

    Beyond the edges the image is reflected.
    """
    radius = ceil(3 * blur_sigma_max)
    sigma = rng.uniform(blur_sigma_min, blur_sigma_max, len(images))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma[:, None]) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    # All images and channels as channels of one image, each with its own kernel: a third of the time.
    kernels = send(weights.astype(np.float32)[:, None, None], images).repeat_interleave(images.shape[1], 0)
    channels = F.pad(images, [radius] * 4, "reflect").flatten(0, 1)[None]
    rows = F.conv2d(channels, kernels, groups=len(kernels))
    return F.conv2d(rows, kernels.mT, groups=len(kernels)).view_as(images)


def noise(
    images: Tensor,
    rng: np.random.Generator,
    *,
    noise_sd: Annotated[
        float, Field(ge=0, le=1, description="standard deviation of the noise, 0 to 1 (white)")
    ] = 0.05,
) -> Tensor:
    """Gaussian noise of every pixel and channel; what leaves 0 to 1 is cut off.

    It is drawn on the device, by a seed from the host.
    """
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**62)))
    drawn = torch.randn(images.shape, generator=generator, device=images.device)
    return images.add(drawn, alpha=noise_sd).clamp_(0, 1)


PHOTOMETRIC: dict[str, Callable[..., Tensor]] = {
    "hue": hue,
    "gamma": gamma,
    "blur": blur,
    "noise": noise,
}
"""(images, rng, *, options) -> the images changed, in this order.

images: (n, 3, H, W) float32 in [0, 1], those of a batch that change; new ones of the same kind come back.
rng: random numbers on the host; `send` takes them to the device.

An entry's name is the setting with its probability, which is 0 unless set. Its options are settings beside
that, so no two entries may have one of the same name.
"""
