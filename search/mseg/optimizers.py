"""The optimiser, and the moving average of the weights that may be evaluated in their place."""

import copy
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer

from search.errors import SpaceError
from search.mseg.section import Section
from search.objective import Value

DecoupledDecay = Annotated[
    float,
    Field(ge=0.0, allow_inf_nan=False, description="decoupled, 0 or more; a step decays by rate x decay"),
]
Momentum = Annotated[float, Field(gt=0.0, lt=1.0, description="above 0 and below 1")]


def adamw(
    weights: Iterable[Parameter], learning_rate: float, *, weight_decay: DecoupledDecay = 1e-4
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101), betas 0.9, 0.999.

    Norms and biases decay like all other weights: the protocol of the recorded runs has it so.
    """
    # Fused: one pass over the weights, a fifth of the default's time on a CPU.
    return torch.optim.AdamW(weights, lr=learning_rate, weight_decay=weight_decay, fused=True)


def sgd(
    weights: Iterable[Parameter],
    learning_rate: float,
    *,
    weight_decay: Annotated[
        float,
        Field(
            ge=0.0, allow_inf_nan=False, description="times the weight is added to its gradient; 0 or more"
        ),
    ] = 1e-4,
    momentum: Momentum = 0.9,
) -> Optimizer:
    """Stochastic gradient descent with Nesterov momentum (Sutskever et al. 2013).

    Its learning rates are commonly ten to a hundred times those of AdamW.
    """
    return torch.optim.SGD(
        weights, lr=learning_rate, momentum=momentum, nesterov=True, weight_decay=weight_decay, fused=True
    )


def muon(
    weights: Iterable[Parameter],
    learning_rate: float,
    *,
    weight_decay: DecoupledDecay = 1e-4,
    momentum: Momentum = 0.95,
) -> Optimizer:
    """Muon (Jordan et al. 2024) for matrices, AdamW for all other weights: convolutions, norms, biases.

    A matrix's momentum is orthogonalised and scaled to the size of an AdamW step (Liu et al. 2025,
    arXiv:2502.16982), so that both parts have the same learning rate and decay.
    """
    return MuonWithAdamW(list(weights), learning_rate, weight_decay, momentum)


class MuonWithAdamW(Optimizer):
    """Both optimisers as one. `param_groups` are theirs, one each.

    Attributes:
        parts: Muon and AdamW, without one that has no weights.
    """

    def __init__(
        self, weights: list[Parameter], learning_rate: float, weight_decay: float, momentum: float
    ) -> None:
        super().__init__(weights, {"lr": learning_rate})
        matrices = [weight for weight in weights if weight.ndim == 2]
        others = [weight for weight in weights if weight.ndim != 2]
        self.parts: list[Optimizer] = []
        if matrices:
            self.parts.append(
                torch.optim.Muon(
                    matrices,
                    lr=learning_rate,
                    weight_decay=weight_decay,
                    momentum=momentum,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        if others:
            self.parts.append(adamw(others, learning_rate, weight_decay=weight_decay))
        self._share_groups()

    def _share_groups(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adamw": adamw, "sgd": sgd, "muon": muon}
"""(weights, learning_rate, *, options) -> an optimiser of these weights whose groups all have that rate.

The schedule sets `lr` of every group before each epoch. An option that the groups hold under its own name,
as PyTorch's optimisers do, is read back from them after each epoch.
"""


class OptimizerConfig(Section):
    """The section `optimizer` of space.yaml."""

    section: ClassVar = "optimizer"
    registry: ClassVar = OPTIMIZERS

    kind: str = Field("adamw", description="a name in OPTIMIZERS")
    learning_rate: float = Field(
        8e-4, gt=0.0, allow_inf_nan=False, description="the schedule's peak, above 0; per step"
    )

    @model_validator(mode="after")
    def _is_in_this_torch(self) -> Self:
        if self.kind == "muon" and not hasattr(torch.optim, "Muon"):
            raise SpaceError(
                f"optimizer.kind: muon needs torch.optim.Muon, which PyTorch {torch.__version__} lacks; "
                "install 2.9 or later, or choose another",
                parameter="optimizer.kind",
            )
        return self


def build(config: OptimizerConfig, model: nn.Module) -> Optimizer:
    """The optimiser of all of `model`'s parameters that `config` names."""
    return config.bound()(model.parameters(), config.learning_rate)


def applied(config: OptimizerConfig, optimizer: Optimizer) -> dict[str, Value]:
    """The values of the chosen entry's options that the live optimiser holds, by parameter name.

    Raises:
        RuntimeError: groups of parameters hold different values.
    """
    values: dict[str, Value] = {}
    for name in config.options:
        held = [group[name] for group in optimizer.param_groups if name in group]
        if any(value != held[0] for value in held):
            raise RuntimeError(f"optimizer.{name}: the groups of parameters hold {held}")
        values |= {f"optimizer.{name}": value for value in held[:1]}
    return values


class MovingAverage:
    """Exponential moving average of a model's weights.

    Attributes:
        model: the averaged twin, in evaluation mode; its buffers are copies of the model's.
        steps: updates so far.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards `model`'s weights, faster at first: the random start should not linger."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        average: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(average, list(model.parameters()), 1 - decay)
        for own, current in zip(self.model.buffers(), model.buffers(), strict=True):
            own.copy_(current)

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.steps = state["steps"]
