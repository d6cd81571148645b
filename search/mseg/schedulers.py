"""Learning rate by epoch: a linear warm-up, then one of SCHEDULES.

A schedule is a pure function of how far training is after the warm-up, so a checkpoint stores no more than
the epoch. One that reacts to the score (ReduceLROnPlateau) would need state of its own, and is left out on
purpose.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import cos, pi
from typing import Annotated, ClassVar

from pydantic import Field
from torch.optim import Optimizer

from search.mseg.section import Section, applied
from search.objective import Value


def cosine(done: float, epochs: int) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5)."""
    return _anneal(done / epochs)


def warm_restarts(
    done: float,
    epochs: int,
    *,
    restart_epochs: Annotated[int, Field(ge=1, description="epochs of the first cycle, T_0")] = 30,
    restart_factor: Annotated[
        int, Field(ge=1, description="length of a cycle over the last's, T_mult")
    ] = 1,
) -> float:
    """The same from 1 to 0 again and again; cycle i lasts `restart_epochs * restart_factor**i` epochs."""
    cycle = restart_epochs
    while done >= cycle:
        done -= cycle
        cycle *= restart_factor
    return _anneal(done / cycle)


def polynomial(
    done: float,
    epochs: int,
    *,
    power: Annotated[float, Field(gt=0.0, allow_inf_nan=False, description="the exponent, above 0")] = 0.9,
) -> float:
    """`(1 - progress) ** power`, the "poly" policy (Chen et al. 2017, arXiv:1606.00915, section 4.1)."""
    return (1 - done / epochs) ** power


def one_cycle(done: float, epochs: int) -> float:
    """From 1/25 up to 1 in the first 30 %, then down to nearly 0 (Smith and Topin 2018, arXiv:1708.07120).

    Both halves are cosines and the shares are PyTorch's defaults for OneCycleLR; the betas stay.
    """
    rise, start, end = 0.3, 1 / 25, 4e-6
    progress = done / epochs
    if progress < rise:
        return 1 + (start - 1) * _anneal(progress / rise)
    return end + (1 - end) * _anneal((progress - rise) / (1 - rise))


def constant(done: float, epochs: int) -> float:
    """1 throughout."""
    return 1.0


def _anneal(progress: float) -> float:
    return (1 + cos(pi * progress)) / 2


SCHEDULES: dict[str, Callable[..., float]] = {
    "cosine": cosine,
    "warm_restarts": warm_restarts,
    "polynomial": polynomial,
    "one_cycle": one_cycle,
    "constant": constant,
}
"""(done, epochs, *, options) -> the factor of the base rate, finite and 0 or more.

`epochs` is how many epochs follow the warm-up, 1 or more; `done` is how many of them have passed: from 0
to below `epochs`, and half of an epoch is a half. The factor may depend on nothing else.
"""


class ScheduleConfig(Section):
    """The section `schedule` of space.yaml: how the rate moves below `optimizer.learning_rate`."""

    section: ClassVar = "schedule"
    registry: ClassVar = SCHEDULES

    kind: str = Field("cosine", description="a name in SCHEDULES")
    warmup_epochs: int = Field(
        5, ge=0, description="epochs of linear rise, 0 or more, below trainer.epochs"
    )


@dataclass(frozen=True, slots=True)
class LearningRate:
    """The live schedule of one run: sets the rate of each epoch, and reads back what is in use.

    Attributes:
        schedule: an entry of SCHEDULES with its options.
        warmup: epochs of linear rise.
        epochs: of the whole training.
        peak: the base rate, `optimizer.learning_rate`.
    """

    schedule: partial[float]
    warmup: int
    epochs: int
    peak: float

    def rate(self, epoch: int) -> float:
        """The rate of a whole epoch, counted from 1.

        Epoch e of a warm-up of W trains at e/W of where the schedule starts. That is the peak for all but
        `one_cycle`, which starts low: a warm-up to the peak would fall back before its own rise.
        """
        remaining = self.epochs - self.warmup
        if epoch <= self.warmup:
            return self.peak * self.schedule(0.0, remaining) * epoch / self.warmup
        # An epoch trains at the schedule's value in its middle. Its end would spend the last epoch at rate
        # 0; its start misses the recorded runs by 2.6 % in epochs 121 to 143, the middle by 1.3 % at most.
        return self.peak * self.schedule(epoch - self.warmup - 0.5, remaining)

    def set(self, optimizer: Optimizer, epoch: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.rate(epoch)

    def applied(self, optimizer: Optimizer, epoch: int) -> dict[str, Value]:
        """The schedule in use, and the peak that the optimiser's rate in this epoch belongs to."""
        expected, used = self.rate(epoch), used_rate(optimizer)
        # Equal rates mean the peak itself: a quotient would be lost where a schedule ends at 0.
        peak = self.peak if used == expected else used * self.peak / expected if expected else used
        return {
            "optimizer.learning_rate": peak,
            "schedule.warmup_epochs": self.warmup,
            **applied(ScheduleConfig, self.schedule),
        }


def used_rate(optimizer: Optimizer) -> float:
    """The learning rate that a step would use.

    Raises:
        RuntimeError: groups of parameters have different ones.
    """
    rates = {float(group["lr"]) for group in optimizer.param_groups}
    if len(rates) > 1:
        raise RuntimeError(f"the optimiser has several learning rates: {sorted(rates)}")
    return rates.pop()


def build(config: ScheduleConfig, epochs: int, peak: float) -> LearningRate:
    """The schedule that `config` names, for a training of `epochs` epochs."""
    return LearningRate(config.bound(), config.warmup_epochs, epochs, peak)
