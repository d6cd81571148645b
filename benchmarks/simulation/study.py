"""A study of simulated trials, in virtual time."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.objective import Params
from search.scoring import best_mean
from simulation.learning_curves import SMOOTH, Curve, Family
from simulation.pruners import Pruner
from simulation.samplers import Sampler

TRIALS = 60
MAX_TRIALS = 300
"""At equal epochs; a pruner that ends trials early would begin many more."""


@dataclass
class Trial:
    """A trial of a simulated study, after `epochs` of its `curve`, each of which takes `seconds`."""

    params: Params
    curve: Curve
    seconds: float
    epochs: int = 0
    complete: bool = False

    @property
    def scores(self) -> Sequence[float]:
        return self.curve.scores[: self.epochs]

    @property
    def measured(self) -> float:
        """Its value as the study measures it."""
        value = best_mean(self.scores, SMOOTH)
        return -math.inf if value is None else value


@dataclass(frozen=True)
class Outcome:
    """How a study ended.

    Attributes:
        epochs: those trained, as a share of what its trials would have taken without pruning.
        lost: whether the truly best of its trials did not run to its end.
        regret: how much worse than that one the chosen trial truly is.
        trials: how many began.
        value: the true value of the chosen trial.
    """

    epochs: float
    lost: bool
    regret: float
    trials: int
    value: float


@dataclass(frozen=True)
class Outcomes:
    """What a study has found after its first 60 trials, and at equal epochs."""

    whole: Outcome
    equal: Outcome


class Study:
    """One study in virtual time. Each of `workers` trains one trial at a time; trials differ in speed.

    Attributes:
        trials: those that have begun, by number.
    """

    def __init__(
        self, family: Family, seed: int, sampler: Sampler, pruner: Pruner, workers: int = 1
    ) -> None:
        self._landscape = family.landscape(seed)
        self._seed, self._sampler, self._pruner, self._workers = seed, sampler, pruner, workers
        self.trials: list[Trial] = []

    def run(self, trials: int = TRIALS, budget: float = 0) -> Outcomes:
        """Run until the first `trials` have ended and `budget` epochs are trained."""
        now, used, ended = 0.0, 0, 0
        whole: Outcome | None = None
        equal: Outcome | None = None
        running: list[tuple[float, int]] = []  # (end of the epoch, trial)
        while whole is None or equal is None:
            while len(running) < self._workers and len(self.trials) < (
                MAX_TRIALS if used < budget else trials
            ):
                number = self._begin()
                heapq.heappush(running, (now + self.trials[number].seconds, number))
            if not running:
                break
            now, number = heapq.heappop(running)
            used += 1
            if self._train(number):
                heapq.heappush(running, (now + self.trials[number].seconds, number))
            elif number < trials:
                ended += 1
            if used >= budget and equal is None:
                equal = _outcome(self.trials)
            if ended == trials and whole is None:
                whole = _outcome(self.trials[:trials])
        return Outcomes(whole or _outcome(self.trials[:trials]), equal or _outcome(self.trials))

    def _begin(self) -> int:
        slot = len(self.trials)
        params = self._sampler.ask(slot)
        slowness = np.random.default_rng([self._seed, slot, 2]).normal(0, 0.1)
        self.trials.append(Trial(params, self._landscape(slot, params), math.exp(slowness)))
        self._pruner.begin(slot, params)
        return slot

    def _train(self, number: int) -> bool:
        """Train one epoch; whether the trial goes on."""
        trial = self.trials[number]
        score = trial.curve.scores[trial.epochs]
        trial.epochs += 1
        pruned = self._pruner.ends(number, trial.epochs, score)
        if trial.epochs < len(trial.curve.scores) and not pruned:
            return True
        trial.complete = trial.epochs == len(trial.curve.scores) and not trial.curve.diverged
        self._pruner.ended(number, trial.measured if trial.complete else None)
        self._sampler.tell(
            number, trial.epochs, trial.measured if trial.complete else score, trial.complete
        )
        return False


def _outcome(trials: Sequence[Trial]) -> Outcome:
    best = max(trials, key=lambda trial: trial.curve.value)
    complete = [trial for trial in trials if trial.complete]
    chosen = max(complete or trials, key=lambda trial: trial.measured)
    return Outcome(
        epochs=sum(trial.epochs for trial in trials) / sum(len(trial.curve.scores) for trial in trials),
        lost=not best.complete,
        regret=best.curve.value - chosen.curve.value,
        trials=len(trials),
        value=chosen.curve.value,
    )
