"""What a study was started from: trials of another one; `warm_start` chooses them."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from search.objective import Params

ORIGIN = "search:from"
"""Key of the copy among the study's attributes."""


@dataclass(frozen=True)
class Inherited:
    """A trial of another study.

    Attributes:
        value: as samplers use it; of a pruned trial the last score. epochs: how many it ran.
        params: those of the new space.
    """

    number: int
    state: Literal["COMPLETE", "PRUNED"]
    value: float
    epochs: int
    params: Params


@dataclass(frozen=True)
class Origin:
    """What a study was started from.

    Attributes:
        study: the other one's name. trials: those of its trials that fit.
        left_out: numbers of the others by the reason why they do not fit; not stored.
    """

    study: str
    trials: tuple[Inherited, ...]
    left_out: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """Which trials fit, which do not, and why, on one line."""
        count = len(self.trials) + sum(map(len, self.left_out.values()))
        fitting = f"{len(self.trials)} of {count} trials of {self.study!r} fit"
        used = f"{fitting} ({ranges(trial.number for trial in self.trials)}): the sampler learns from them"
        parts = [f"{reason} ({ranges(numbers)})" for reason, numbers in self.left_out.items()]
        return f"{used}; left out: {'; '.join(parts)}" if parts else used

    def to_document(self) -> dict[str, Any]:
        """What the study stores, as JSON values."""
        return {"study": self.study, "trials": [asdict(trial) for trial in self.trials]}

    @classmethod
    def from_document(cls, stored: Mapping[str, Any]) -> "Origin":
        return cls(stored["study"], tuple(Inherited(**trial) for trial in stored["trials"]))


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers, shortened to ranges.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7-8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
