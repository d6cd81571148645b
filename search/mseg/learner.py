"""The live objects of one run: model, optimiser, schedule, averaged weights and loss.

B batch, C classes, S the training size, H and W the sides of a mask.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from search.mseg import optimizers, schedulers
from search.mseg.compiling import CompiledModel
from search.mseg.config import Config
from search.mseg.data.dataset import SegmentationData
from search.mseg.losses.class_weights import frequencies
from search.mseg.losses.criterion import Criterion
from search.mseg.models import registry as models
from search.mseg.models.model import SegmentationModel, largest, upsample_planes
from search.mseg.optimizers import MovingAverage
from search.mseg.schedulers import LearningRate
from search.objective import Value

LOGITS = {"cpu": 2**20, "cuda": 2**28}
"""Most logits at the size of the masks at a time: what a CPU's cache holds, and 1 GiB.

A GPU takes the full protocol's batch, 32 images of 512 px, in one part: it has few calls to wait for."""


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """What predicts.

    Attributes:
        precision: of the forward pass; weights, loss and optimiser are float32.
    """

    config: Config
    device: torch.device
    model: SegmentationModel
    precision: torch.dtype

    @property
    def evaluated(self) -> SegmentationModel:
        """The model that predicts."""
        return self.model

    def coarse(self, of: SegmentationModel, images: Tensor) -> Tensor:
        """float32 logits (B, C, h, w) of a model, computed in this run's precision."""
        with self._autocast():
            return of.coarse(images)

    def images_at_once(self, classes: int, size: Sequence[int]) -> int:
        """How many images' logits of `size` (H, W) to compute at a time, at least 1."""
        return max(1, LOGITS.get(self.device.type, 2**28) // (classes * math.prod(size)))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)


@dataclass(frozen=True, kw_only=True)
class Learner(Predictor):
    """What trains.

    Attributes:
        rate: the schedule.
        average: the moving average of the weights; None unless the config asks for one.
        compiled: what takes the model's place in a step; None unless the config asks for it.
    """

    optimizer: Optimizer
    rate: LearningRate
    average: MovingAverage | None
    criterion: Criterion
    compiled: CompiledModel | None = None

    @property
    def evaluated(self) -> SegmentationModel:
        """The model that is validated and kept: the averaged one if there is one."""
        return cast(SegmentationModel, self.average.model) if self.average else self.model

    def set_epoch(self, epoch: int) -> None:
        """Set the learning rate of an epoch, counted from 1."""
        self.rate.set(self.optimizer, epoch)

    def step(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """One step of training.

        Logits are upsampled, scored and derived a few images at a time: those at the size of the masks are
        the largest tensors of a step, and this way they stay in a CPU's cache and cost no memory. Losses of
        the parts, weighted by their images, add up to the batch's.

        Args:
            images: (B, 3, S, S) float in [0, 1]. masks: (B, S, S) classes.

        Returns:
            The loss, and the classes predicted before the step, (B, S, S).
        """
        with self._autocast():
            coarse = (self.compiled or self.model.coarse)(images)
        at_once = self.images_at_once(coarse.shape[1], masks.shape[1:])
        total, gradients, predictions = images.new_zeros(()), [], []
        for part, target in zip(coarse.detach().split(at_once), masks.split(at_once), strict=True):
            leaf = part.requires_grad_()
            logits = upsample_planes(leaf, target.shape[1:])
            value = self.criterion(logits, target) * (len(part) / len(images))
            gradients += torch.autograd.grad(value, leaf)
            total += value.detach()
            predictions.append(largest(logits.detach()))

        self.optimizer.zero_grad()
        coarse.backward(torch.cat(gradients))
        if self.config.trainer.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.trainer.grad_clip, foreach=True)
        self.optimizer.step()
        if self.average:
            self.average.update(self.model)
        return total, torch.cat(predictions)

    def weights_norm(self) -> Tensor:
        """L2 norm of all weights, a scalar on the device; not finite once one of them is not."""
        return nn.utils.get_total_norm(
            [weight.detach() for weight in self.model.parameters()], foreach=True
        )

    def state(self) -> dict[str, Any]:
        """Everything that training changes."""
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

    def applied(self, epoch: int) -> dict[str, Value]:
        """What the steps of an epoch, the last one trained, really used, by parameter name."""
        return {
            **{f"model.{name}": value for name, value in self.model.applied().items()},
            **optimizers.applied(self.config.optimizer, self.optimizer),
            **self.rate.applied(self.optimizer, epoch),
            **self.criterion.applied(),
        }


def build(config: Config, data: SegmentationData, device: torch.device) -> Learner:
    """A learner whose weights come from PyTorch's global generator."""
    classes = len(data.classes)
    trained = predictor(config, classes, device)
    decay = config.trainer.ema
    return Learner(
        device=device,
        model=trained.model,
        precision=trained.precision,
        config=config,
        optimizer=optimizers.build(config.optimizer, trained.model),
        rate=schedulers.build(config.schedule, config.trainer.epochs, config.optimizer.learning_rate),
        average=None if decay is None else MovingAverage(trained.model, decay),
        compiled=CompiledModel(trained.model, device) if config.trainer.compile else None,
        criterion=Criterion(
            config.loss,
            may_ignore=data.ignored or config.augment.fill == "ignored",
            class_frequencies=cache(lambda: frequencies(data.train.masks, classes).to(device)),
        ),
    )


def predictor(config: Config, classes: int, device: torch.device) -> Predictor:
    """What predicts with weights that are loaded into it; they too come from the global generator."""
    return Predictor(
        config=config,
        device=device,
        model=models.build(config.model, classes).to(device),
        precision=_precision(config.trainer.precision, device),
    )


def _precision(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
