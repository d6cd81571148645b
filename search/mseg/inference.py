"""Predicting: logits at the size of the targets.

B batch, C classes, H and W the sides of a target.
"""

from collections.abc import Iterator

from torch import Tensor

from search.mseg.data.batches import as_float
from search.mseg.data.targets import Targets
from search.mseg.learner import Predictor
from search.mseg.models.model import upsample


def forward(
    predictor: Predictor, images: Tensor, targets: Targets, classes: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Predict images in a few batches, in their order.

    Targets of one size come in the batches that the model sees, others one at a time, so that of logits at
    their size no more than one mask's is in memory.

    Args:
        images: (N, 3, h, w) uint8 RGB.

    Yields:
        float32 logits (B, C, H, W) and targets (B, H, W), both on the device.
    """
    model = predictor.evaluated.eval()
    fitting = predictor.config.data.fitting
    cropped = fitting.pad and predictor.config.data.scored_at == "native"
    at_once = predictor.images_at_once(
        classes, targets.shape[1:] if isinstance(targets, Tensor) else fitting.size
    )
    for start in range(0, len(images), at_once):
        batch = images[start : start + at_once]
        coarse = predictor.coarse(model, as_float(batch, predictor.device))
        parts = _parts(targets, start, start + len(batch))
        for logits, masks in zip(coarse.split([len(part) for part in parts]), parts, strict=True):
            masks = masks.to(predictor.device, non_blocking=True)
            size = (masks.shape[1], masks.shape[2])
            if cropped:  # the target has no padding
                logits = upsample(logits, fitting.size)[(..., *fitting.box(size).slices)]
            yield upsample(logits, size), masks


def _parts(targets: Targets, start: int, stop: int) -> list[Tensor]:
    """Targets `start` to `stop` as tensors (B, H, W)."""
    if isinstance(targets, Tensor):
        return [targets[start:stop]]
    return [targets[index][None] for index in range(start, stop)]
