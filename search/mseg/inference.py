"""Predicting: logits at the size of the targets.

B batch, C classes, H and W the sides of a target.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from search.mseg.learner import Predictor


def forward(
    predictor: Predictor, images: Tensor, targets: Tensor, classes: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Predict images in a few batches, in their order.

    Args:
        images: (N, 3, S, S) uint8 RGB. targets: (N, H, W) uint8.

    Yields:
        float32 logits (B, C, H, W) and targets (B, H, W), both on the device.
    """
    model = predictor.evaluated.eval()
    height, width = targets.shape[1:]
    at_once = predictor.images_at_once(classes, (height, width))
    for batch, masks in zip(images.split(at_once), targets.split(at_once), strict=True):
        inputs = as_float(batch, predictor.device)
        masks = masks.to(predictor.device, non_blocking=True)
        yield predictor.logits(model, inputs, size=(height, width)), masks


def as_float(images: Tensor, device: torch.device) -> Tensor:
    """uint8 images as float32 in [0, 1] on `device`."""
    return images.to(device, non_blocking=True).float().div_(255)
