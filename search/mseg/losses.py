"""The training loss: one of LOSSES.

Cross-entropy with Dice sees C channels at full resolution and would take most of a training step's memory,
and on a CPU a third of its time. Written as one autograd function it keeps the probabilities and nothing
else of that size, and needs no one-hot target.

B batch, C classes, H and W the sides of a mask, N = H W pixels.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from search.mseg.section import Section

EPS = 1e-8

Loss = Callable[..., Tensor]

WHOLE_BATCH: set[Loss] = set()


def whole_batch(loss: Loss) -> Loss:
    """Decorates a loss that is no mean over images: a step calls it once, on all images of the batch.

    That takes the memory of all their logits at full resolution.
    """
    WHOLE_BATCH.add(loss)
    return loss


def ce_dice(
    logits: Tensor,
    target: Tensor,
    *,
    dice_weight: Annotated[
        float,
        Field(
            ge=0.0,
            allow_inf_nan=False,
            description="of the Dice loss beside a cross-entropy of weight 1; from 0",
        ),
    ] = 1.5,
) -> Tensor:
    """Cross-entropy, the plain mean over pixels, plus `dice_weight` times the soft Dice loss.

    Dice is per image and class, absent classes too (after Milletari et al. 2016, arXiv:1606.04797, with
    the sum of p rather than of its square below):

        1 - mean over images and classes of (2 sum(p g) + eps) / (sum(p) + sum(g) + eps)

    with p the softmax, g the one-hot target, sums over the pixels of an image and eps = 1e-8.
    """
    return _CrossEntropyDice.apply(logits, target, dice_weight)  # type: ignore[no-untyped-call]


class _CrossEntropyDice(torch.autograd.Function):
    """Works on (B, H, W, C), which is a view of channels_last logits."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, dice_weight: float) -> Tensor:
        label = target.long().unsqueeze(3)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        log_p = F.log_softmax(logits.permute(0, 2, 3, 1), dim=3, dtype=dtype)
        cross_entropy = -log_p.gather(3, label).mean()
        p = log_p.exp_()
        p_label = p.gather(3, label)

        # By row first: one sum over all pixels would lose digits of float32.
        rows = p.new_zeros(*p.shape[:2], p.shape[3])
        overlap = rows.scatter_add(2, label.squeeze(3), p_label.squeeze(3)).sum(1)
        pixels = rows.scatter_add(2, label.squeeze(3), torch.ones_like(p_label).squeeze(3)).sum(1)
        size = p.sum((1, 2)) + pixels + EPS
        dice = (2 * overlap + EPS) / size

        ctx.save_for_backward(p, p_label, label, dice, size)
        ctx.dice_weight = dice_weight
        ctx.dtype = logits.dtype
        return cross_entropy + dice_weight * (1 - dice.mean())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of a softmax is g - p sum(g) over the classes, where g = p dL/dp.

        dL/dp is -1 / p at the label from the cross-entropy, and from Dice dice / size in every class and
        -2 / size more at the label; all of them times their mean's 1 / (B H W) or 1 / (B C).
        """
        p, p_label, label, dice, size = ctx.saved_tensors
        ce_scale = upstream / label.numel()
        dice_scale = upstream * ctx.dice_weight / dice.numel()
        at_label = torch.take_along_dim((2 * dice_scale / size)[:, None, None], label, dim=3) * p_label
        grad = p * (dice_scale * dice / size)[:, None, None]
        grad.scatter_add_(3, label, -(at_label + ce_scale))
        grad.addcmul_(p, grad.sum(3, keepdim=True), value=-1)
        return grad.permute(0, 3, 1, 2).to(ctx.dtype), None, None


LOSSES: dict[str, Loss] = {"ce_dice": ce_dice}
"""(logits, target, *, options) -> a scalar float32 loss that autograd can derive by the logits.

logits: (B, C, H, W), float32, or bfloat16 under autocast; the loss computes in float32 either way.
target: (B, H, W), integers from 0 to C - 1.

A step calls a loss on a few images of its batch at a time and weights each part by its share of the images.
So it must be a MEAN OVER IMAGES of something that depends on one image alone, as a mean over equally many
pixels per image is. Any other loss (one that pools counts over the batch, say) needs `@whole_batch`.
Validation calls it on as many images as fit and averages likewise; that loss is a curve to look at.
"""


class LossConfig(Section):
    """The section `loss` of space.yaml."""

    section: ClassVar = "loss"
    registry: ClassVar = LOSSES

    kind: str = Field("ce_dice", description="a name in LOSSES")
