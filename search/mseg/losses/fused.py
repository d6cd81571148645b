"""Cross-entropy and Dice in one autograd function: the loss that is trained by default.

It sees C channels at full resolution, and would take most of a training step's memory, and on a CPU a third
of its time. Written this way it keeps the probabilities and nothing else of that size, and needs no one-hot
target.

B batch, C classes, H and W the sides of a mask.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from search.mseg.losses.terms import DICE_EPS


def ce_dice(logits: Tensor, target: Tensor, ce_weight: float, dice_weight: float) -> Tensor:
    """`ce_weight` times the term `ce` with its default options plus `dice_weight` times the term `dice`.

    Args:
        logits: (B, C, H, W). target: (B, H, W), integers from 0 to C - 1: no pixel may be ignored.

    Returns:
        The mean over images, a scalar.
    """
    return _CrossEntropyDice.apply(logits, target, ce_weight, dice_weight)  # type: ignore[no-untyped-call]


class _CrossEntropyDice(torch.autograd.Function):
    """Works along the classes where they are: (B, C, H, W), or (B, H, W, C) of channels_last logits."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, ce_weight: float, dice_weight: float) -> Tensor:
        last = logits.stride(1) == 1
        along, pixels = (3, (1, 2)) if last else (1, (2, 3))
        label = target.long().unsqueeze(along)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        log_p = F.log_softmax(logits.permute(0, 2, 3, 1) if last else logits, dim=along, dtype=dtype)
        cross_entropy = -log_p.gather(along, label).mean()
        p = log_p.exp_()
        p_label = p.gather(along, label)

        # By row first: one sum over all pixels would lose digits of float32.
        rows = p.new_zeros(*target.shape[:2], logits.shape[1])
        overlap = rows.scatter_add(2, label.squeeze(along), p_label.squeeze(along)).sum(1)
        number = rows.scatter_add(2, label.squeeze(along), torch.ones_like(p_label).squeeze(along)).sum(1)
        size = p.sum(pixels) + number + DICE_EPS
        dice = (2 * overlap + DICE_EPS) / size

        ctx.save_for_backward(p, p_label, label, dice, size)
        ctx.weights = ce_weight, dice_weight
        ctx.along = along
        ctx.dtype = logits.dtype
        return ce_weight * cross_entropy + dice_weight * (1 - dice.mean())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient of a softmax is g - p sum(g) over the classes, where g = p dL/dp.

        dL/dp is -1 / p at the label from the cross-entropy, and from Dice dice / size in every class and
        -2 / size more at the label; all of them times their mean's 1 / (B H W) or 1 / (B C).
        """
        p, p_label, label, dice, size = ctx.saved_tensors
        ce_weight, dice_weight = ctx.weights
        along = ctx.along
        ce_scale = upstream * ce_weight / label.numel()
        dice_scale = upstream * dice_weight / dice.numel()
        of_class = (slice(None), None, None) if along == 3 else (..., None, None)
        at_label = torch.take_along_dim((2 * dice_scale / size)[of_class], label, dim=along) * p_label
        grad = p * (dice_scale * dice / size)[of_class]
        grad.scatter_add_(along, label, -(at_label + ce_scale))
        grad.addcmul_(p, grad.sum(along, keepdim=True), value=-1)
        grad = grad.permute(0, 3, 1, 2) if along == 3 else grad
        return grad.to(ctx.dtype), None, None, None
