"""The training loss: cross-entropy plus a weighted Dice loss.

Notable: the loss sees C channels at full resolution and would be the largest part of a training step's
memory, and on a CPU a third of its time. Written as one autograd function it keeps the probabilities and
nothing else of that size, and needs no one-hot target.

B batch, C classes, H and W the sides of a mask, N = H W pixels.
"""

from collections.abc import Callable
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from search.errors import SpaceError, unknown_name

EPS = 1e-8


class LossConfig(BaseModel):
    """The section `loss` of space.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field("ce_dice", description="a name in LOSSES")
    dice_weight: float = Field(
        1.5,
        ge=0.0,
        allow_inf_nan=False,
        description="of the Dice loss beside a cross-entropy of weight 1; from 0",
    )

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in LOSSES:
            raise SpaceError(unknown_name("loss.kind", kind, LOSSES), parameter="loss.kind")
        return kind


def compute(logits: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    """The loss `config` names, a scalar.

    Args:
        logits: (B, C, H, W); under autocast too the loss is computed in float32.
        target: (B, H, W), integers from 0 to C - 1.
    """
    return LOSSES[config.kind](logits, target, config)


def segmentation_loss(logits: Tensor, target: Tensor, dice_weight: float) -> Tensor:
    """Cross-entropy, the plain mean over pixels, plus `dice_weight` times the soft Dice loss.

    Dice is per image and class, absent classes too (after Milletari et al. 2016, arXiv:1606.04797, with
    the sum of p rather than of its square below):

        1 - mean over images and classes of (2 sum(p g) + eps) / (sum(p) + sum(g) + eps)

    with p the softmax, g the one-hot target, sums over the pixels of an image and eps = 1e-8.
    """
    return _CrossEntropyDice.apply(logits, target, dice_weight)


def _ce_dice(logits: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    return segmentation_loss(logits, target, config.dice_weight)


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


LOSSES: dict[str, Callable[[Tensor, Tensor, LossConfig], Tensor]] = {"ce_dice": _ce_dice}
