"""What a pruner is: asked after every epoch whether a trial continues."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.objective import EpochResult, Params
from search.spec.spec import Spec
from search.study.study import Study
from storage.claims import Lease

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a pruner decides about a trial at an epoch, with its numbers.

    Attributes:
        prune: end the trial now.
        text: for a person: "epoch 31: 0.412 below the median 0.437 of 18 trials, second time, margin
            0.006".
        value: the smoothed score that was compared; None where nothing was.
        bar: what it had to reach, the lower of the medians of all trials and of its kind; the margin
            comes on top.
        peers: how many other trials the median of all is taken over.
        control: it would have been pruned at `epoch` but runs on, as one of the control group.
    """

    prune: bool
    text: str
    epoch: int
    value: float | None = None
    bar: float | None = None
    peers: int = 0
    margin: float | None = None
    control: bool = False


class Pruner(ABC):
    """Decides after every epoch whether a trial continues; a worker has one for all its trials.

    It is built from the spec and its options alone, so that wrong options are refused before a study is
    created. Whatever it reads from the database it reads after `open`.

    Attributes:
        for_sampler: the Optuna pruner that the study's sampler must know about. Hyperband sorts trials
            into brackets, and a sampler learns from its own bracket only. None for most pruners.
    """

    for_sampler: "BasePruner | None" = None

    @abstractmethod
    def open(self, study: Study) -> None:
        """Connect to the study; called once, before the first decision."""

    @abstractmethod
    def decide(self, lease: Lease, params: Params, result: EpochResult, reachable: bool) -> Decision:
        """Whether the trial under `lease`, which trains `params`, ends after `result`, and why.

        Must not wait for the database where it is not `reachable`: decide from what was read last.
        """


class NoPruner(Pruner):
    """Every trial goes on; nothing is read."""

    def __init__(self, spec: Spec) -> None:
        pass

    def open(self, study: Study) -> None:
        pass

    def decide(self, lease: Lease, params: Params, result: EpochResult, reachable: bool) -> Decision:
        return Decision(prune=False, epoch=result.epoch, text="")
