"""The F-score of predicted masks: the challenge's, and the one of the hand-run history.

Notable:
- Of each image, its true positives, false positives and false negatives by class are kept. They are
  integers, so that no score depends on the evaluation's batch size, not even in the last bit.
- They stay on the device until `result`, which computes the scores from them in float64 on the CPU.

B batch, C classes, H and W the sides of a mask.
"""

import math
from typing import TypedDict

import torch
from torch import Tensor

EPS = 1e-7
HISTORY_BATCH = 32  # images whose counts the hand-run history pooled


class Result(TypedDict):
    """Scores over all images added, each from 0 to 1.

    Attributes:
        val_fscore: the challenge's: mean over images of an image's mean F over the classes present in
            its ground truth.
        fscore_batch32: the historical protocol's: counts pooled over every 32 consecutive images (and the
            rest), the mean over the classes present in each pool, the plain mean over pools.
        per_class: by class, the mean F over the images that have it; None if no image does.
        accuracy: share of correctly predicted pixels.
    """

    val_fscore: float
    fscore_batch32: float
    per_class: list[float | None]
    accuracy: float


class Scores:
    """Collects the counts of images, in training as in validation, and scores them at the end."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._counts: list[Tensor] = []

    def add(self, prediction: Tensor, target: Tensor) -> None:
        """Takes a batch of masks (B, H, W) in the order of the data set; nothing leaves the device."""
        self._counts.append(counts(prediction, target, self.classes))

    def result(self) -> Result:
        """Scores everything added; the one transfer from the device.

        Raises:
            ValueError: nothing was added.
        """
        if not self._counts:
            raise ValueError("no image was added")
        images = torch.cat(self._counts).cpu()
        pools = torch.stack([pool.sum(0) for pool in images.split(HISTORY_BATCH)])
        per_image = fscores(images)
        tp, _, fn = images.sum((0, 1)).tolist()
        return Result(
            val_fscore=per_image.nanmean(1).mean().item(),
            fscore_batch32=fscores(pools).nanmean(1).mean().item(),
            per_class=[None if math.isnan(score) else score for score in per_image.nanmean(0).tolist()],
            accuracy=tp / (tp + fn),
        )


def counts(prediction: Tensor, target: Tensor, classes: int) -> Tensor:
    """True positives, false positives and false negatives: (B, C, 3) int64.

    Args:
        prediction, target: (B, H, W), integers from 0 to C - 1.
    """
    # A histogram of the pairs is an image's confusion matrix, target by prediction.
    pairs = (target.long() * classes + prediction).flatten(1)
    confusion = pairs.new_zeros(len(pairs), classes * classes)
    confusion.scatter_add_(1, pairs, pairs.new_ones(()).expand_as(pairs))
    confusion = confusion.unflatten(1, (classes, classes))
    tp = confusion.diagonal(dim1=1, dim2=2)
    return torch.stack([tp, confusion.sum(1) - tp, confusion.sum(2) - tp], dim=2)


def fscores(counts: Tensor) -> Tensor:
    """F by class, 2 P R / (P + R + 1e-7), of counts (..., C, 3): (..., C) float64, NaN for an absent class.

    P = tp / (tp + fp + 1e-7) and R = tp / (tp + fn + 1e-7); absent means absent from the ground truth.
    """
    tp, fp, fn = counts.double().unbind(-1)
    precision = tp / (tp + fp + EPS)
    recall = tp / (tp + fn + EPS)
    score = 2 * precision * recall / (precision + recall + EPS)
    return score.masked_fill(tp + fn == 0, math.nan)
