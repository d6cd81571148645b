"""What learns: the model, its optimiser, averaged weights and loss, put together for one run.

B batch, C classes, S the training size, H and W the sides of a mask.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from search.mseg import losses, optimizers, schedulers
from search.mseg.config import Config
from search.mseg.models import microsegformer
from search.mseg.models.microsegformer import SegmentationModel
from search.mseg.optimizers import MovingAverage
from search.objective import Value

LOGITS = {"cpu": 2**20, "cuda": 2**27}
"""Logits at the size of the masks that there are at a time: what a CPU's cache holds, and 512 MB."""


@dataclass(frozen=True, slots=True)
class Learner:
    """The live objects of one run.

    Attributes:
        average: the moving average of the weights, where the config asks for one.
        criterion: (logits, target) -> loss.
        precision: of the forward pass; weights, loss and optimiser are float32.
    """

    config: Config
    device: torch.device
    model: SegmentationModel
    optimizer: Optimizer
    average: MovingAverage | None
    criterion: partial[Tensor]
    precision: torch.dtype

    @property
    def evaluated(self) -> nn.Module:
        """The model that is validated and kept: the averaged one where there is one."""
        return self.average.model if self.average else self.model

    def set_epoch(self, epoch: int) -> float:
        """Sets, and returns, the learning rate of an epoch."""
        rate = schedulers.learning_rate(
            epoch,
            self.config.trainer.epochs,
            self.config.optimizer.learning_rate,
            self.config.schedule,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def step(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """One step of training.

        Logits are upsampled, scored and derived a few images at a time: of all tensors of a step those
        at the size of the masks are the largest, and so they stay in a CPU's cache and cost no memory.
        A loss is a mean over images, so that its parts add up to the whole.

        Args:
            images: (B, 3, S, S) float in [0, 1]. masks: (B, S, S) classes.

        Returns:
            The loss, and the classes predicted before the step, (B, S, S).
        """
        with self._autocast():
            coarse = self.model.coarse(images)
        at_once = self.images_at_once(coarse.shape[1], masks.shape[1:])
        total, gradients, predictions = images.new_zeros(()), [], []
        for part, target in zip(coarse.detach().split(at_once), masks.split(at_once), strict=True):
            leaf = part.requires_grad_()
            logits = microsegformer.upsample(leaf, target.shape[1:])
            value = self.criterion(logits, target) * (len(part) / len(images))
            gradients += torch.autograd.grad(value, leaf)
            total += value.detach()
            predictions.append(logits.detach().argmax(1))

        self.optimizer.zero_grad()
        coarse.backward(torch.cat(gradients))
        if self.config.trainer.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.trainer.grad_clip, foreach=True)
        self.optimizer.step()
        if self.average:
            self.average.update(self.model)
        return total, torch.cat(predictions)

    def logits(self, of: nn.Module, images: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """float32 logits (B, C, *size) of a model in this run's precision."""
        with self._autocast():
            return of(images, size=size)

    def images_at_once(self, classes: int, size: Sequence[int]) -> int:
        """How many images' logits of `size` (H, W) to have at a time, at least 1."""
        return max(1, LOGITS.get(self.device.type, 2**27) // (classes * math.prod(size)))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def weights_norm(self) -> Tensor:
        """L2 norm of all weights, a scalar on the device; not finite once one of them is not."""
        return nn.utils.get_total_norm(
            [weight.detach() for weight in self.model.parameters()], foreach=True
        )

    def state(self) -> dict[str, Any]:
        """All that training changes."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average and self.average.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.load_state_dict(state["average"])

    def applied(self) -> dict[str, Value]:
        """What is in use, read back from the live objects, by parameter name."""
        return {
            **microsegformer.applied(self.model),
            **optimizers.applied(self.optimizer),
            **schedulers.applied(self.config.schedule),
            "loss.dice_weight": self.criterion.keywords["config"].dice_weight,
        }


def build(config: Config, classes: int, device: torch.device) -> Learner:
    """A learner whose weights come from PyTorch's global generator."""
    network = microsegformer.build(config.model, classes).to(device)
    decay = config.trainer.ema
    return Learner(
        config=config,
        device=device,
        model=network,
        optimizer=optimizers.build(config.optimizer, network),
        average=None if decay is None else MovingAverage(network, decay),
        criterion=partial(losses.compute, config=config.loss),
        precision=_precision(config.trainer.precision, device),
    )


def _precision(asked: str, device: torch.device) -> torch.dtype:
    if asked == "auto":
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[asked]
