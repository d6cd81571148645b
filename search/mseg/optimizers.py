"""The optimiser, and the moving average of the weights that may be evaluated in their place.

One group of parameters: the protocol decays norms and biases like everything else. A group keeps the
base learning rate as `initial_lr` (PyTorch's own schedulers do) beside the current one, `lr`.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from search.errors import SpaceError, unknown_name


class OptimizerConfig(BaseModel):
    """The section `optimizer` of space.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field("adamw", description="a name in OPTIMIZERS")
    learning_rate: float = Field(
        8e-4, gt=0.0, allow_inf_nan=False, description="the schedule's peak, above 0; per step"
    )
    weight_decay: float = Field(
        1e-4, ge=0.0, allow_inf_nan=False, description="decoupled, 0 or more; a step decays by rate x decay"
    )

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in OPTIMIZERS:
            raise SpaceError(unknown_name("optimizer.kind", kind, OPTIMIZERS), parameter="optimizer.kind")
        return kind


def build(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of all of `model`'s parameters."""
    return OPTIMIZERS[config.kind](model, config)


def applied(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """What the live optimiser holds, by parameter name."""
    (group,) = optimizer.param_groups
    return {
        "optimizer.learning_rate": group["initial_lr"],
        "optimizer.weight_decay": group["weight_decay"],
    }


def adamw(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101), betas 0.9, 0.999."""
    group = {"params": list(model.parameters()), "initial_lr": config.learning_rate}
    return torch.optim.AdamW(
        [group],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,  # one pass over the weights: a fifth of the default's time on a CPU
    )


class MovingAverage:
    """Exponential moving average of a model's weights.

    Attributes:
        model: the averaged twin, in evaluation mode; its buffers are the model's own as they stand.
        steps: updates so far.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Moves towards `model`'s weights, faster at first: the random start should not linger."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        average: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(average, list(model.parameters()), 1 - decay)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.steps = state["steps"]


OPTIMIZERS: dict[str, Callable[[nn.Module, OptimizerConfig], torch.optim.Optimizer]] = {"adamw": adamw}
