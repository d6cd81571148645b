"""The terms of the training loss: TERMS.

The loss is the mean over images of the weighted sum of terms. So a term looks at one image at a time, which
lets a step split its batch. It skips ignored pixels.

B batch, C classes, H and W the sides of a mask.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from search.mseg.data.labels import IGNORED
from search.mseg.losses.class_weights import CLASS_WEIGHTS

DICE_EPS = 1e-8
BOUNDARY_EPS = 1e-7


class LabelledPixels:
    """What a term is given: the pixels of a few images, predicted and labelled.

    Attributes:
        log_p: (B, C, H, W), the logarithm of the softmax, float32 or better.
        valid: (B, H, W), false where a pixel is ignored.
        label: (B, H, W) int64, the class; 0 where a pixel is ignored.
        class_frequencies: () -> (C,), how often each class is found; see `class_weights.frequencies`.
    """

    def __init__(self, logits: Tensor, target: Tensor, class_frequencies: Callable[[], Tensor]) -> None:
        dtype = torch.promote_types(logits.dtype, torch.float32)
        self.log_p = F.log_softmax(logits, dim=1, dtype=dtype)
        self.valid = target != IGNORED
        self.label = target.long().masked_fill(~self.valid, 0)
        self.class_frequencies = class_frequencies

    @cached_property
    def p(self) -> Tensor:
        """(B, C, H, W), the softmax."""
        return self.log_p.exp()

    @cached_property
    def log_p_label(self) -> Tensor:
        """(B, H, W), `log_p` of the label."""
        return self.log_p.gather(1, self.label[:, None])[:, 0]

    @cached_property
    def is_class(self) -> Tensor:
        """(B, C, H, W), whether a pixel is valid and of the class."""
        classes = torch.arange(self.log_p.shape[1], device=self.label.device)
        return (self.label[:, None] == classes[:, None, None]) & self.valid[:, None]

    def mean(self, values: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean of (B, H, W) over the valid pixels of each image, (B,); 0 if there is none.

        With `weights`, by which the values are already multiplied, their sum divides instead of the number.
        """
        number = (self.valid.to(values.dtype) if weights is None else weights * self.valid).sum((1, 2))
        return (values * self.valid).sum((1, 2)) / number.masked_fill(number == 0, 1)

    def sums(self, values: Tensor) -> Tensor:
        """The sum of (B, H, W) over the valid pixels of each class, (B, C)."""
        rows = values.new_zeros(*values.shape[:2], self.log_p.shape[1])
        return rows.scatter_add(2, self.label, values * self.valid).sum(1)


def cross_entropy(
    pixels: LabelledPixels,
    *,
    label_smoothing: Annotated[
        float, Field(ge=0.0, lt=1.0, description="share of the label that all classes get; 0 to below 1")
    ] = 0.0,
    focal_gamma: Annotated[
        float, Field(ge=0.0, le=10.0, description="pixels count (1 - p)^gamma times; 0 to 10; 0: all alike")
    ] = 0.0,
    class_weights: Annotated[
        Literal["none", "median_frequency", "sqrt_median_frequency"],
        Field(description="of the pixels of a class, from its share of the training masks"),
    ] = "none",
) -> Tensor:
    """Cross-entropy, the weighted mean over the pixels of an image.

    With y the label, s the smoothing (Szegedy et al. 2016, arXiv:1512.00567), w the class weights and gamma
    the focus (Lin et al. 2017, arXiv:1708.02002), a pixel costs

        (1 - p_y)^gamma ((1 - s) w_y (-log p_y) + s / C sum_c w_c (-log p_c))

    and the mean is the sum of that over the sum of w_y. Without focus that is PyTorch's.
    """
    loss, every, weights = -pixels.log_p_label, pixels.log_p, None
    if class_weights != "none":
        by_class = CLASS_WEIGHTS[class_weights](pixels.class_frequencies()).to(loss.dtype)
        weights = by_class[pixels.label]
        loss, every = loss * weights, every * by_class[:, None, None]
    if label_smoothing > 0:
        loss = (1 - label_smoothing) * loss - label_smoothing * every.mean(1)
    if focal_gamma > 0:
        loss = loss * (1 - pixels.log_p_label.exp()).clamp(min=0) ** focal_gamma
    return pixels.mean(loss, weights)


def dice(pixels: LabelledPixels) -> Tensor:
    """The soft Dice loss over all C classes, absent ones too.

    After Milletari et al. 2016 (arXiv:1606.04797), with the sum of p rather than of its square below:

        1 - mean over classes of (2 sum(p g) + eps) / (sum(p) + sum(g) + eps)

    with p the softmax, g the one-hot target, sums over the valid pixels of an image and eps = 1e-8.
    """
    p_label = pixels.log_p_label.exp()
    overlap = pixels.sums(p_label)
    size = (pixels.p * pixels.valid[:, None]).sum((2, 3)) + pixels.sums(torch.ones_like(p_label))
    return 1 - ((2 * overlap + DICE_EPS) / (size + DICE_EPS)).mean(1)


def lovasz(pixels: LabelledPixels) -> Tensor:
    """Lovasz-Softmax (Berman et al. 2018, arXiv:1705.08790): the mean over the classes present in an image.

    Of each class the errors |g - p| of the valid pixels are sorted, the largest first, and each counts as
    much as the Jaccard loss 1 - I / U grows when its pixel joins the wrong ones: by 1 / U where the pixel
    is of the class, else by I / (U (U - 1)), with I and U as they are afterwards.
    """
    of_class = pixels.is_class.flatten(2)
    errors = ((of_class.to(pixels.p.dtype) - pixels.p.flatten(2)).abs()) * pixels.valid.flatten(1)[:, None]
    # An ignored pixel is an error of 0, which counts nothing and comes after all that count.
    errors, order = errors.sort(dim=2, descending=True)
    of_class = of_class.gather(2, order)
    found = of_class.cumsum(2, dtype=errors.dtype)
    every = found[..., -1:]
    intersection = every - found
    union = intersection + torch.arange(1, errors.shape[2] + 1, device=errors.device)
    growth = torch.where(of_class, 1 / union, intersection / (union * (union - 1).clamp(min=1)))
    return _mean_of(every[..., 0] > 0, (errors * growth).sum(2))


def boundary(
    pixels: LabelledPixels,
    *,
    boundary_tolerance: Annotated[
        int, Field(ge=1, le=32, description="pixels by which a boundary may be off; 1 to 32")
    ] = 2,
) -> Tensor:
    """1 - F of the boundaries (Bokhovkin and Burnaev 2019, arXiv:1905.07852), classes with a boundary.

    The boundary of a class is b(g) = max over 3x3 of (1 - g), minus (1 - g): its pixels that touch another
    class. With e the maximum over a window of 2 tolerance + 1,

        P = sum(b(p) e(b(g))) / sum(b(p)),  R = sum(b(g) e(b(p))) / sum(b(g)),  F = 2 P R / (P + R)

    each quotient with 1e-7 added below. A pixel that touches an ignored one is on no boundary.
    """
    p, g = pixels.p, pixels.is_class.to(pixels.p.dtype)
    apart = 1 - _largest((~pixels.valid)[:, None].to(p.dtype), 1)
    truth, predicted = (apart * (_largest(1 - each, 1) - (1 - each)) for each in (g, p))
    near_truth, near_predicted = (_largest(each, boundary_tolerance) for each in (truth, predicted))
    size = truth.sum((2, 3))
    precision = (predicted * near_truth).sum((2, 3)) / (predicted.sum((2, 3)) + BOUNDARY_EPS)
    recall = (truth * near_predicted).sum((2, 3)) / (size + BOUNDARY_EPS)
    fscore = 2 * precision * recall / (precision + recall + BOUNDARY_EPS)
    return _mean_of(size > 0, 1 - fscore)


def _largest(values: Tensor, reach: int) -> Tensor:
    """The maximum of (B, C, H, W) over the pixels at most `reach` rows and columns away."""
    return F.max_pool2d(values, 2 * reach + 1, stride=1, padding=reach)


def _mean_of(chosen: Tensor, values: Tensor) -> Tensor:
    """The mean of (B, C) over the chosen classes of each image, (B,); 0 if there is none."""
    return (values * chosen).sum(1) / chosen.sum(1).clamp(min=1)


TERMS: dict[str, Callable[..., Tensor]] = {
    "ce": cross_entropy,
    "dice": dice,
    "lovasz": lovasz,
    "boundary": boundary,
}
"""(pixels, *, options) -> the loss of each image, (B,), which autograd can derive by the logits.

The term `lovasz` has the weight `loss.lovasz_weight`. An image's loss may depend on nothing but that image,
and is 0 for one without a valid pixel. Names of options are unique among the terms.
"""

DEFAULT_WEIGHTS = {"ce": 1.0, "dice": 1.5}
"""The terms that are on by default."""
