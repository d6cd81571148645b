"""Pruners for simulated studies: none, our median, Optuna's pruners, Ray Tune's schedulers.

Optuna's and Ray's are the installed code, called at every epoch as their own loops would call them. Ray is
an extra (`pip install "mseg-search[rivals]"`); without it its rows are left out. `Told` and `TopFew` are
written anew: what a user gives Optuna's median who knows of the warm-ups, and i-Epoch (Egele et al. 2024).
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from search.loading import vocabulary_of
from search.objective import CurveShape, Params
from search.pruners.learning_curve import Curve
from search.pruners.median_rule import CurveTable, MedianSettings

SMOOTH = 5

STOCK_SHAPE = vocabulary_of().curve


class Pruner(Protocol):
    """The pruner of one study; it is called when a trial begins, at each score, and when the trial ends."""

    def begin(self, number: int, params: Params) -> None: ...

    def ends(self, number: int, epoch: int, score: float) -> bool:
        """Whether to end the trial after this epoch."""
        ...

    def ended(self, number: int, value: float | None) -> None:
        """The trial ended, with `value` if it is complete."""
        ...


class NoPruning:
    def begin(self, number: int, params: Params) -> None: ...

    def ends(self, number: int, epoch: int, score: float) -> bool:
        return False

    def ended(self, number: int, value: float | None) -> None: ...


class Median:
    """Our rule, fed as a worker feeds it."""

    def __init__(
        self, settings: MedianSettings, shape: Callable[[Params], CurveShape] = STOCK_SHAPE
    ) -> None:
        self._shape = shape
        self._table = CurveTable(settings)

    def begin(self, number: int, params: Params) -> None:
        self._table.add(Curve.of(number, self._shape(params)))

    def ends(self, number: int, epoch: int, score: float) -> bool:
        self._table.update(number, epoch, score)
        return self._table.decide(number, epoch).prune

    def ended(self, number: int, value: float | None) -> None: ...


class OptunaStudyPruner:
    """A pruner of Optuna, in an Optuna study that samples nothing."""

    def __init__(self, pruner: BasePruner, name: str) -> None:
        sampler = optuna.samplers.RandomSampler(seed=0)
        self._study = optuna.create_study(
            direction="maximize", pruner=pruner, sampler=sampler, study_name=name
        )
        self._trials: dict[int, optuna.Trial] = {}

    def begin(self, number: int, params: Params) -> None:
        self._trials[number] = self._study.ask()

    def ends(self, number: int, epoch: int, score: float) -> bool:
        self._trials[number].report(score, epoch)
        return self._trials[number].should_prune()

    def ended(self, number: int, value: float | None) -> None:
        trial = self._trials.pop(number)
        if value is None:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, value)


class OwnAge:
    """Base of rivals that are told what ours knows: they see means of five scores since the warm-up."""

    def __init__(self, epochs: int, shape: Callable[[Params], CurveShape] = STOCK_SHAPE) -> None:
        self._epochs, self._shape = epochs, shape
        self._delay: dict[int, int] = {}
        self._scores: dict[int, list[float]] = {}

    def begin(self, number: int, params: Params) -> None:
        self._delay[number] = self._shape(params).delay
        self._scores[number] = []

    def ends(self, number: int, epoch: int, score: float) -> bool:
        if epoch <= self._delay[number]:
            return False
        scores = self._scores[number]
        scores.append(score)
        return self.ends_at(number, len(scores), fmean(scores[-SMOOTH:])) and epoch < self._epochs

    def ends_at(self, number: int, age: int, mean: float) -> bool:
        raise NotImplementedError

    def ended(self, number: int, value: float | None) -> None: ...


class Told(OwnAge):
    """Optuna's MedianPruner(n_warmup_steps=a tenth), with the mean of five reported at the age.

    A test compares it with Optuna's own code, which takes fifty times as long.
    """

    def __init__(self, epochs: int, shape: Callable[[Params], CurveShape] = STOCK_SHAPE) -> None:
        super().__init__(epochs, shape)
        self._means: dict[int, list[float]] = {}
        self._complete: list[list[float]] = []

    def ends_at(self, number: int, age: int, mean: float) -> bool:
        means = self._means.setdefault(number, [])
        means.append(mean)
        if len(self._complete) < 5 or age < max(1, self._epochs // 10):
            return False
        others = [other[age - 1] for other in self._complete if len(other) >= age]
        return bool(others) and max(means) < median(others)

    def ended(self, number: int, value: float | None) -> None:
        if value is not None and number in self._means:
            self._complete.append(self._means[number])


class TopFew(OwnAge):
    """i-Epoch (Egele et al. 2024): only the three best at one age go on."""

    def __init__(self, epochs: int, age: int, shape: Callable[[Params], CurveShape] = STOCK_SHAPE) -> None:
        super().__init__(epochs, shape)
        self._age = age
        self._best: list[float] = []

    def ends_at(self, number: int, age: int, mean: float) -> bool:
        if age != self._age:
            return False
        self._best = sorted([*self._best, mean])[-3:]
        return mean < self._best[0]


@dataclass(eq=False)
class RayTrial:
    """The fields of a trial that Ray's schedulers read."""

    trial_id: str
    status: str = "RUNNING"


class Ray:
    """A scheduler of Ray Tune, and the runner that it is given: no trial waits, so none is paused."""

    def __init__(self, scheduler: Any, seed: int) -> None:
        np.random.seed(seed % 2**32)  # ASHA draws brackets from NumPy's global generator
        self._scheduler = scheduler
        self._trials: dict[int, RayTrial] = {}
        self._results: dict[int, dict[str, Any]] = {}

    def get_live_trials(self) -> list[RayTrial]:
        return []

    def begin(self, number: int, params: Params) -> None:
        self._trials[number] = RayTrial(str(number))
        self._scheduler.on_trial_add(self, self._trials[number])

    def ends(self, number: int, epoch: int, score: float) -> bool:
        self._results[number] = {"training_iteration": epoch, "score": score, "done": False}
        action = self._scheduler.on_trial_result(self, self._trials[number], self._results[number])
        return bool(action == "STOP")

    def ended(self, number: int, value: float | None) -> None:
        self._scheduler.on_trial_complete(self, self._trials.pop(number), self._results.pop(number))


def _ray(name: str, seed: int, **options: Any) -> Ray:
    from ray.tune import schedulers

    options = {"time_attr": "training_iteration", "metric": "score", "mode": "max", **options}
    return Ray(getattr(schedulers, name)(**options), seed)


Build = Callable[[int, int], Pruner]
"""(epochs, seed) -> the pruner of one study."""


def _median(**options: Any) -> Build:
    return lambda epochs, seed: Median(MedianSettings(seed=seed, **options))


PRUNERS: dict[str, Build] = {
    "none": lambda epochs, seed: NoPruning(),
    "ours": _median(),
    "ours, no control group": _median(control=0.0),
    "Optuna median, told": lambda epochs, seed: Told(epochs),
    "i-Epoch, told": lambda epochs, seed: TopFew(epochs, max(1, epochs // 10)),
    "Optuna median": lambda epochs, seed: OptunaStudyPruner(MedianPruner(), str(seed)),
    "Optuna median, from a third on": lambda epochs, seed: OptunaStudyPruner(
        MedianPruner(n_warmup_steps=epochs // 3), str(seed)
    ),
    "Optuna successive halving": lambda epochs, seed: OptunaStudyPruner(
        SuccessiveHalvingPruner(), str(seed)
    ),
    "Optuna Hyperband": lambda epochs, seed: OptunaStudyPruner(
        HyperbandPruner(max_resource=epochs), str(seed)
    ),
}
if importlib.util.find_spec("ray"):
    PRUNERS |= {
        "Ray ASHA": lambda epochs, seed: _ray("ASHAScheduler", seed, max_t=epochs),
        "Ray ASHA, from a tenth on": lambda epochs, seed: _ray(
            "ASHAScheduler", seed, max_t=epochs, grace_period=epochs // 10
        ),
        "Ray median stopping": lambda epochs, seed: _ray(
            "MedianStoppingRule", seed, grace_period=epochs // 10
        ),
    }
