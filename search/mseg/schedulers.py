"""Learning rate by epoch: a linear warm-up, then one of five schedules.

A schedule is a pure function of how far training is after the warm-up, so a checkpoint stores no more
than the epoch. One that reacts to the score (ReduceLROnPlateau) would need state of its own, and is
left out on purpose.
"""

from collections.abc import Callable
from math import cos, pi

from pydantic import BaseModel, ConfigDict, Field, field_validator

from search.errors import SpaceError, unknown_name


class ScheduleConfig(BaseModel):
    """The section `schedule` of space.yaml: how the rate moves below `optimizer.learning_rate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field("cosine", description="a name in SCHEDULES")
    warmup_epochs: int = Field(
        5, ge=0, description="epochs of linear rise, 0 or more, below trainer.epochs"
    )
    restart_epochs: int = Field(30, ge=1, description="warm_restarts: epochs of the first cycle, T_0")
    restart_factor: int = Field(
        1, ge=1, description="warm_restarts: how many times as long as the last each cycle is, T_mult"
    )
    power: float = Field(0.9, gt=0.0, allow_inf_nan=False, description="polynomial: the exponent, above 0")

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in SCHEDULES:
            raise SpaceError(unknown_name("schedule.kind", kind, SCHEDULES), parameter="schedule.kind")
        return kind


Schedule = Callable[[float, int, ScheduleConfig], float]
"""(epochs done after the warm-up, epochs there are after it, config) -> factor of the base rate."""


def learning_rate(epoch: int, epochs: int, base: float, config: ScheduleConfig) -> float:
    """The rate of a whole epoch.

    Epoch e of a warm-up of W trains at e/W of where the schedule starts. That is `base` for all but
    `one_cycle`, which starts low: a warm-up to `base` would fall back before its own rise.

    Args:
        epoch: from 1 to `epochs`.
        base: the peak, `optimizer.learning_rate`.
    """
    schedule = SCHEDULES[config.kind]
    warmup = config.warmup_epochs
    if epoch <= warmup:
        return base * schedule(0.0, epochs - warmup, config) * epoch / warmup
    # An epoch trains at the schedule's value in its middle. Its end would spend the last epoch at rate
    # 0; its start misses the recorded runs by 2.6 % in epochs 121 to 143, the middle by 1.3 % at most.
    return base * schedule(epoch - warmup - 0.5, epochs - warmup, config)


def applied(config: ScheduleConfig) -> dict[str, str | int | float]:
    """What `learning_rate` reads of `config`, by parameter name."""
    schedule = SCHEDULES[config.kind]
    values: dict[str, str | int | float] = {
        "schedule.kind": schedule.__name__,
        "schedule.warmup_epochs": config.warmup_epochs,
    }
    if schedule is warm_restarts:
        values["schedule.restart_epochs"] = config.restart_epochs
        values["schedule.restart_factor"] = config.restart_factor
    if schedule is polynomial:
        values["schedule.power"] = config.power
    return values


def cosine(done: float, epochs: int, config: ScheduleConfig) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5)."""
    return _anneal(done / epochs)


def warm_restarts(done: float, epochs: int, config: ScheduleConfig) -> float:
    """The same from 1 to 0 again and again; cycle i lasts `restart_epochs * restart_factor**i` epochs."""
    cycle = config.restart_epochs
    while done >= cycle:
        done -= cycle
        cycle *= config.restart_factor
    return _anneal(done / cycle)


def polynomial(done: float, epochs: int, config: ScheduleConfig) -> float:
    """`(1 - progress) ** power`, the "poly" policy (Chen et al. 2017, arXiv:1606.00915, section 4.1)."""
    return (1 - done / epochs) ** config.power


def one_cycle(done: float, epochs: int, config: ScheduleConfig) -> float:
    """From 1/25 up to 1 in the first 30 %, then down to nearly 0 (Smith and Topin 2018, arXiv:1708.07120).

    Both halves are cosines and the shares are PyTorch's defaults for OneCycleLR; the betas stay.
    """
    rise, start, end = 0.3, 1 / 25, 4e-6
    progress = done / epochs
    if progress < rise:
        return 1 + (start - 1) * _anneal(progress / rise)
    return end + (1 - end) * _anneal((progress - rise) / (1 - rise))


def constant(done: float, epochs: int, config: ScheduleConfig) -> float:
    """1 throughout."""
    return 1.0


def _anneal(progress: float) -> float:
    return (1 + cos(pi * progress)) / 2


SCHEDULES: dict[str, Schedule] = {
    "cosine": cosine,
    "warm_restarts": warm_restarts,
    "polynomial": polynomial,
    "one_cycle": one_cycle,
    "constant": constant,
}
