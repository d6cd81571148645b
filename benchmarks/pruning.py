"""What pruning saves and what it loses, in simulated studies whose true winner is known.

    python benchmarks/pruning.py --studies 200

A study has 60 random configs of 30 epochs, in one of two families:

- `warm-up`: a curve rises from the end of its warm-up (0 to 7 epochs) to its config's quality. Configs
  differ in nothing else, scores have noise of 0.005.
- `schedules`: the same with four schedules. But for `constant`, a rate that is still high holds the
  score down: a cosine and a one-cycle gain late, warm restarts fall back again and again. Quality has
  nothing to do with the schedule.

All pruners see the same studies, through Optuna. A config's true value is the best mean of five epochs
of its curve without noise; a study chooses the complete trial with the best mean of five with noise.
The table has means over studies with 95 % intervals: `epochs` used, in % of no pruning; `lost`, studies
in % in which the truly best config was pruned, and in brackets in which the best constant / cosine /
one-cycle / restarting one was; `regret`, by how much the chosen config is worse than the best.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import FrozenTrial, TrialState

from search.objective import NOTHING, Params, best_mean
from search.pruning import CurveTable, Decision, MedianSettings

TRIALS, EPOCHS, SMOOTH = 60, 30, 5
KINDS = ("constant", "cosine", "one_cycle", "warm_restarts")
CYCLE = 8  # epochs: three cycles or more within 30 epochs less the warm-up

SPACE: dict[str, BaseDistribution] = {
    "schedule.kind": CategoricalDistribution(KINDS),
    "schedule.warmup_epochs": IntDistribution(0, 7),
    "schedule.restart_epochs": IntDistribution(CYCLE, CYCLE),
}


COUNTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
"""Whose scores make the median; a failed trial's may be wrong."""


class MedianOverAll(BasePruner):
    """Our rule as a pruner of Optuna, so that all of them run in the same loop. Steps are epochs from 1.

    Args:
        settings: the rule.
        constants: parameters by name that all trials share and therefore do not hold themselves.

    Attributes:
        decision: the last one; where its `control` is true, the trial would have been pruned.
    """

    def __init__(self, settings: MedianSettings | None = None, constants: Params = NOTHING) -> None:
        self.settings = settings or MedianSettings()
        self.decision: Decision | None = None
        self._constants = constants
        self._table: CurveTable | None = None
        self._finished: set[int] = set()

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        if not trial.intermediate_values:
            return False
        if self._table is None:
            minimize = study.direction is optuna.study.StudyDirection.MINIMIZE
            self._table = CurveTable(self.settings, "minimize" if minimize else "maximize")
        for other in study.get_trials(deepcopy=False, states=COUNTED):
            if other.number not in self._finished and other.number != trial.number:
                self._read(self._table, other)
        self._read(self._table, trial)
        self.decision = self._table.decide(trial.number, max(trial.intermediate_values))
        return self.decision.prune

    def _read(self, table: CurveTable, trial: FrozenTrial) -> None:
        scores = trial.intermediate_values
        # Before its first score another worker may still be suggesting a trial's parameters.
        if scores and trial.number not in table:
            params = {**self._constants, **trial.params}
            table.add(self.settings.curve(trial.number, params))
        if scores:
            last = table.last_epoch(trial.number)
            for epoch in sorted(epoch for epoch in scores if epoch > last):
                table.update(trial.number, epoch, scores[epoch])
        if trial.state.is_finished():
            self._finished.add(trial.number)


@dataclass(frozen=True)
class Curves:
    """One study's configs.

    Attributes:
        params: by config, from SPACE.
        scores: (TRIALS, EPOCHS), with noise.
        values: (TRIALS,), what a config is truly worth.
    """

    params: Sequence[dict[str, Any]]
    scores: NDArray[np.float64]
    values: NDArray[np.float64]

    def best(self, kind: str | None = None) -> int:
        """The truly best config, of all or of a kind."""
        of_kind = [params.get("schedule.kind") == kind or kind is None for params in self.params]
        return int(np.where(of_kind, self.values, -np.inf).argmax())


@dataclass(frozen=True)
class Outcome:
    """One study under one pruner; `lost` and `lost_of_kind` (in the order of KINDS) are 0 or 1."""

    epochs: float
    lost: bool
    regret: float
    lost_of_kind: tuple[bool, ...]


def warmup_alone(rng: np.random.Generator) -> Curves:
    return _draw(rng, kinds=(), depth=0.0)


def schedules(rng: np.random.Generator) -> Curves:
    return _draw(rng, kinds=KINDS, depth=0.04)


def _draw(rng: np.random.Generator, kinds: Sequence[str], depth: float) -> Curves:
    """`depth` is by how much the full rate holds a score down."""
    params: list[dict[str, Any]] = []
    truth = np.zeros((TRIALS, EPOCHS))
    for curve in truth:
        warmup = int(rng.integers(0, 8))
        kind = str(rng.choice(kinds)) if kinds else None
        age = np.arange(1, EPOCHS - warmup + 1)
        curve[warmup:] = rng.normal(0.65, 0.02) * (1 - np.exp(-age / 3)) - depth * rate(kind, age)
        params.append({"schedule.warmup_epochs": warmup})
        if kind:
            params[-1]["schedule.kind"] = kind
        if kind == "warm_restarts":
            params[-1]["schedule.restart_epochs"] = CYCLE
    values = np.array([best_mean(curve.tolist(), SMOOTH) for curve in truth])
    return Curves(params, truth + rng.normal(0, 0.005, truth.shape), values)


def rate(kind: str | None, age: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is left of the learning rate, 0 to 1, at each epoch after the warm-up; 0 for `constant`."""
    progress = (age - 0.5) / len(age)
    if kind == "warm_restarts":
        progress = (age - 0.5) % CYCLE / CYCLE
    elif kind == "one_cycle":
        progress = np.where(progress < 0.3, 1 - progress / 0.3, (progress - 0.3) / 0.7)
    elif kind != "cosine":
        return np.zeros(len(age))
    return (1 + np.cos(np.pi * progress)) / 2


def simulate(curves: Curves, pruner: BasePruner, workers: int = 1) -> Outcome:
    """Run a study whose workers take turns at every epoch."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    waiting = [_train(study, *config) for config in zip(curves.params, curves.scores, strict=True)]
    running: list[Iterator[bool]] = []
    while waiting or running:
        while waiting and len(running) < workers:
            running.append(waiting.pop(0))
        running = [trial for trial in running if next(trial, False)]
    trials = study.get_trials(deepcopy=False)
    pruned = [trial.state is TrialState.PRUNED for trial in trials]
    chosen = study.best_trial.number
    return Outcome(
        epochs=sum(len(trial.intermediate_values) for trial in trials) / (TRIALS * EPOCHS),
        lost=pruned[curves.best()],
        regret=float(curves.values[curves.best()] - curves.values[chosen]),
        lost_of_kind=tuple(pruned[curves.best(kind)] for kind in KINDS),
    )


def _train(study: optuna.Study, params: dict[str, Any], scores: NDArray[np.float64]) -> Iterator[bool]:
    """One trial; yields after every epoch that it survived."""
    study.enqueue_trial(params)
    trial = study.ask({name: SPACE[name] for name in params})
    for epoch, score in enumerate(scores.tolist(), start=1):
        trial.report(score, epoch)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
        yield True
    study.tell(trial, best_mean(scores.tolist(), SMOOTH))


def _share(hits: Sequence[bool]) -> str:
    """Percentage with its Wilson interval (Wilson 1927), which is right for rare events too."""
    n, p, z = len(hits), sum(hits) / len(hits), 1.96
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (100 * (middle + side * half) / (1 + z * z / n) for side in (-1, 1))
    return f"{100 * p:.1f} ({max(low, 0):.1f}-{high:.1f})"


def _mean(values: Sequence[float], form: str) -> str:
    half = 1.96 * float(np.std(values)) / math.sqrt(len(values))
    return f"{np.mean(values):{form}} ± {half:{form}}"


def _row(family: str, name: str, outcomes: Sequence[Outcome]) -> str:
    of_kind = ""
    if family == "schedules":
        rates = (100 * np.mean([outcome.lost_of_kind for outcome in outcomes], axis=0)).round()
        of_kind = " [" + " / ".join(f"{rate:.0f}" for rate in rates) + "]"
    return (
        f"| {family} | {name} | {_mean([100 * outcome.epochs for outcome in outcomes], '.1f')} "
        f"| {_share([outcome.lost for outcome in outcomes])}{of_kind} "
        f"| {_mean([outcome.regret for outcome in outcomes], '.5f')} |"
    )


FAMILIES: dict[str, Callable[[np.random.Generator], Curves]] = {
    "warm-up": warmup_alone,
    "schedules": schedules,
}

PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "none": NopPruner,
    "MedianPruner, 10 warm-up steps": lambda: MedianPruner(n_warmup_steps=10),
    "median, no control group": lambda: MedianOverAll(MedianSettings(horizon=EPOCHS, control=0.0)),
    "median": lambda: MedianOverAll(MedianSettings(horizon=EPOCHS)),
    "median, one kind, no control group": lambda: MedianOverAll(
        MedianSettings(horizon=EPOCHS, control=0.0, kind=None)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulated studies: what pruning saves and loses.")
    parser.add_argument("--studies", type=int, default=200, help="studies a row")
    parser.add_argument("--workers", type=int, default=1, help="trials that run at a time")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("| family | pruner | epochs | lost | regret |\n|---|---|---|---|---|")
    for family, draw in FAMILIES.items():
        for name, pruner in PRUNERS.items():
            studies = (draw(np.random.default_rng(seed)) for seed in range(arguments.studies))
            outcomes = [simulate(curves, pruner(), arguments.workers) for curves in studies]
            print(_row(family, name, outcomes), flush=True)


if __name__ == "__main__":
    main()
