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
    """Works on (B, H, W, C), which is a view of channels_last logits."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, ce_weight: float, dice_weight: float) -> Tensor:
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
        size = p.sum((1, 2)) + pixels + DICE_EPS
        dice = (2 * overlap + DICE_EPS) / size

        ctx.save_for_backward(p, p_label, label, dice, size)
        ctx.weights = ce_weight, dice_weight
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
        ce_scale = upstream * ce_weight / label.numel()
        dice_scale = upstream * dice_weight / dice.numel()
        at_label = torch.take_along_dim((2 * dice_scale / size)[:, None, None], label, dim=3) * p_label
        grad = p * (dice_scale * dice / size)[:, None, None]
        grad.scatter_add_(3, label, -(at_label + ce_scale))
        grad.addcmul_(p, grad.sum(3, keepdim=True), value=-1)
        return grad.permute(0, 3, 1, 2).to(ctx.dtype), None, None, None
