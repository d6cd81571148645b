"""The scores of predicted masks: F as the challenge and as the hand-run history have it, and mean IoU.

Notable:
- Of each image, its true positives, false positives and false negatives by class are kept. They are
  integers, so that no score depends on the evaluation's batch size, not even in the last bit.
- They stay on the device until `result` or `by_image`, which compute scores from them in float64
  on the CPU.

B batch, C classes, H and W the sides of a mask.
"""

import math
from collections.abc import Callable
from typing import TypedDict

import torch
from torch import Tensor

EPS = 1e-7
HISTORY_BATCH = 32  # images whose counts the hand-run history pooled


class Result(TypedDict):
    """Scores over all images added, each from 0 to 1.

    Attributes:
        val_fscore: the challenge's: mean over images of an image's mean F over the classes present in
            its ground truth. An image of which every pixel is ignored does not count.
        val_miou: the mean intersection over union as the field reports it: counts pooled over all images,
            the mean over the classes present in the ground truth or the prediction of any.
        fscore_pooled: the F of counts pooled over all images, the mean over the classes present.
        fscore_batch32: the historical protocol's: counts pooled over every 32 consecutive images (and the
            rest), the mean over the classes present in each pool, the plain mean over pools.
        per_class: by class, the mean F over the images that have it; None if no image does.
        accuracy: share of correctly predicted pixels.
    """

    val_fscore: float
    val_miou: float
    fscore_pooled: float
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
        per_image, pooled = fscores(images), images.sum(0, keepdim=True)
        tp, _, fn = pooled.sum((0, 1)).tolist()
        return Result(
            val_fscore=_mean(per_image),
            val_miou=_mean(ious(pooled)),
            fscore_pooled=_mean(fscores(pooled)),
            fscore_batch32=_mean(fscores(pools)),
            per_class=[None if math.isnan(score) else score for score in per_image.nanmean(0).tolist()],
            accuracy=tp / (tp + fn) if tp + fn else math.nan,
        )

    def by_image(self, of_class: Callable[[Tensor], Tensor]) -> list[float]:
        """The mean over classes of each image, in its order; NaN where every pixel is ignored.

        Args:
            of_class: `fscores` or `ious`.
        """
        return of_class(torch.cat(self._counts).cpu()).nanmean(1).tolist()


def counts(prediction: Tensor, target: Tensor, classes: int) -> Tensor:
    """True positives, false positives and false negatives: (B, C, 3) int64.

    Args:
        prediction: (B, H, W), integers from 0 to C - 1. target: likewise, or IGNORED.
    """
    # A histogram of the pairs is an image's confusion matrix, target by prediction, below a first row of
    # the ignored pixels: in uint8, IGNORED + 1 is 0.
    rows = (target.to(torch.uint8) + 1).long()
    pairs = (rows * classes + prediction).flatten(1)
    confusion = pairs.new_zeros(len(pairs), (classes + 1) * classes)
    confusion.scatter_add_(1, pairs, pairs.new_ones(()).expand_as(pairs))
    confusion = confusion.unflatten(1, (classes + 1, classes))[:, 1:]
    tp = confusion.diagonal(dim1=1, dim2=2)
    return torch.stack([tp, confusion.sum(1) - tp, confusion.sum(2) - tp], dim=2)


def ious(counts: Tensor) -> Tensor:
    """Intersection over union by class, tp / (tp + fp + fn), of counts (..., C, 3): (..., C) float64.

    NaN for a class that is absent from both ground truth and prediction.
    """
    tp, fp, fn = counts.double().unbind(-1)
    return tp / (tp + fp + fn)


def fscores(counts: Tensor) -> Tensor:
    """F by class, 2 P R / (P + R + 1e-7), of counts (..., C, 3): (..., C) float64, NaN for an absent class.

    P = tp / (tp + fp + 1e-7) and R = tp / (tp + fn + 1e-7); absent means absent from the ground truth.
    """
    tp, fp, fn = counts.double().unbind(-1)
    precision = tp / (tp + fp + EPS)
    recall = tp / (tp + fn + EPS)
    score = 2 * precision * recall / (precision + recall + EPS)
    return score.masked_fill(tp + fn == 0, math.nan)


def _mean(by_class: Tensor) -> float:
    """Of (N, C), the mean over rows of their mean over classes; a row without any class does not count."""
    return by_class[~by_class.isnan().all(1)].nanmean(1).mean().item()
