"""What a search finds and what it costs, in simulated studies whose truth is known.

    python benchmarks/studies.py --studies 200 --processes 2

The learning curves are of `learning_curves.py`, whoever samples of `samplers.py`, whoever prunes of
`pruners.py`. Every row sees the same studies: the same landscapes, and in the same slot the same luck.
Workers are simulated in virtual time: each trains one trial at a time, at a speed of its own.

Of each study two things are told. Of its first 60 trials, as many epochs as they take:

- `epochs`: those trained, in % of what the trials would have taken to their end.
- `lost`: studies in % in which the truly best of the trials was pruned.
- `regret`: by how much the chosen config, the complete one with the best mean of five scores, is truly
  worse than the best of the trials, in points (hundredths of F).

And of the epochs of 30 whole trainings, as many trials as they are enough for: at equal epochs.

- `trials`: how many were begun.
- `gain`: by how many points the choice is truly better than that of a random search without pruning.
- `behind`: by how many it is worse than that of our median with the same sampler and one worker, without a
  control group, since the others have none.

All with 95 % intervals: of shares Wilson's (1927), of means by bootstrap over studies; `gain` and `behind`
are means of differences within a study.
"""

import argparse
import heapq
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import optuna
from learning_curves import FAMILIES, SMOOTH, Curve, Family
from pruners import PRUNERS, Pruner
from samplers import SAMPLERS, Sampler

from search.analysis.pruning_audit import wilson
from search.objective import Params
from search.scoring import best_mean

TRIALS = 60
MOST = 300
"""Trials at equal epochs; who ends them early would begin many more."""

OURS = "ours, no control group"


@dataclass(frozen=True)
class Cell:
    """A row of the table."""

    family: str
    sampler: str = "random"
    pruner: str = OURS
    workers: int = 1


STOCK = "Optuna median, from a third on"

CELLS = tuple(
    cell
    for cell in (
        *(Cell(family, pruner=pruner) for family in ("warm-up", "fitted") for pruner in PRUNERS),
        *(Cell(family, workers=8) for family in ("warm-up", "fitted")),
        *(
            Cell("fitted", sampler, pruner)
            for sampler in ("TPE, ours", "TPE, Optuna's")
            for pruner in ("none", OURS)
        ),
        Cell("fitted", "TPE, Optuna's", STOCK),
        Cell("fitted", "TPE, ours", workers=8),
        *(
            Cell(family, pruner=pruner)
            for family in FAMILIES
            if family.startswith("fitted, ")
            for pruner in ("none", OURS, STOCK, "Ray ASHA, from a tenth on")
        ),
    )
    if cell.pruner in PRUNERS
)


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
        """What a study takes it to be worth."""
        value = best_mean(self.scores, SMOOTH)
        return -math.inf if value is None else value


@dataclass(frozen=True)
class Outcome:
    """How a study ended.

    Attributes:
        epochs: those trained, as a share of what its trials would have taken to their end.
        lost: whether the truly best of its trials did not come to its end.
        regret: how much worse than that the chosen one truly is.
        trials: how many were begun.
        value: what the chosen one is truly worth.
    """

    epochs: float
    lost: bool
    regret: float
    trials: int
    value: float


@dataclass(frozen=True)
class Pair:
    """What a study is after its first 60 trials, and what it was at equal epochs."""

    whole: Outcome
    equal: Outcome


class Study:
    """One study in virtual time; `workers` train one trial each, at a speed that is the trial's own.

    Attributes:
        trials: those that were begun, by number.
    """

    def __init__(
        self, family: Family, seed: int, sampler: Sampler, pruner: Pruner, workers: int = 1
    ) -> None:
        self._landscape = family.landscape(seed)
        self._seed, self._sampler, self._pruner, self._workers = seed, sampler, pruner, workers
        self.trials: list[Trial] = []

    def run(self, trials: int = TRIALS, budget: float = 0) -> Pair:
        """Until the first so many trials have ended and so many epochs are trained."""
        now, used, ended = 0.0, 0, 0
        whole: Outcome | None = None
        equal: Outcome | None = None
        running: list[tuple[float, int]] = []  # when the epoch ends, of which trial
        while whole is None or equal is None:
            while len(running) < self._workers and len(self.trials) < (MOST if used < budget else trials):
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
        return Pair(whole or _outcome(self.trials[:trials]), equal or _outcome(self.trials))

    def _begin(self) -> int:
        slot = len(self.trials)
        params = self._sampler.ask(slot)
        slowness = np.random.default_rng([self._seed, slot, 2]).normal(0, 0.1)
        self.trials.append(Trial(params, self._landscape(slot, params), math.exp(slowness)))
        self._pruner.begin(slot, params)
        return slot

    def _train(self, number: int) -> bool:
        """One epoch; whether the trial goes on."""
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


def run(cell: Cell, seed: int) -> Pair:
    """The study `seed` of a cell; the seed is the landscape's, the sampler's and the control group's."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    family = FAMILIES[cell.family]
    sampler = SAMPLERS[cell.sampler](family, seed)
    pruner = PRUNERS[cell.pruner](family.epochs, seed)
    return Study(family, seed, sampler, pruner, cell.workers).run(budget=TRIALS * family.epochs / 2)


# The table ------------------------------------------------------------------------------------------


def bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean, by percentiles over 4000 resamples."""
    draws = np.random.default_rng(0).choice(np.asarray(values), (4000, len(values)))
    low, high = np.quantile(draws.mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def _mean(values: Sequence[float], form: str, factor: float = 1.0) -> str:
    """`48.1 (47.5 to 48.7)`."""
    low, high = bootstrap(values)
    shown = (f"{factor * each:{form}}" for each in (float(np.mean(values)), low, high))
    return "{} ({} to {})".format(*shown)


def _less(a: Sequence[Pair], b: Sequence[Pair]) -> list[float]:
    """Study by study, how much better the choice of `a` at equal epochs is than that of `b`, in points."""
    return [100 * (ours.equal.value - theirs.equal.value) for ours, theirs in zip(a, b, strict=True)]


def row(cell: Cell, pairs: Sequence[Pair], plain: Sequence[Pair], ours: Sequence[Pair]) -> str:
    lost = [pair.whole.lost for pair in pairs]
    rate = wilson(sum(lost), len(lost))
    return (
        f"| {cell.family} | {cell.sampler} | {cell.pruner} | {cell.workers} "
        f"| {_mean([pair.whole.epochs for pair in pairs], '.1f', 100)} "
        f"| {100 * rate.share:.1f} ({100 * rate.low:.1f} to {100 * rate.high:.1f}) "
        f"| {_mean([pair.whole.regret for pair in pairs], '.2f', 100)} "
        f"| {np.mean([pair.equal.trials for pair in pairs]):.0f} "
        f"| {_mean(_less(pairs, plain), '+.2f')} | {_mean(_less(ours, pairs), '+.2f')} |"
    )


HEAD = """\
| family | sampler | pruner | workers | epochs | lost | regret | trials | gain | behind |
|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Simulated studies: what a search finds and what it costs."
    )
    parser.add_argument("--studies", type=int, default=200, help="studies a row")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    arguments = parser.parse_args()
    found: dict[Cell, list[Pair]] = {}
    print(HEAD)
    with ProcessPoolExecutor(arguments.processes) as pool:
        for cell in CELLS:
            if cell.family not in arguments.families or cell.sampler not in arguments.samplers:
                continue
            for needed in (Cell(cell.family, pruner="none"), replace(cell, pruner=OURS, workers=1), cell):
                if needed not in found:
                    seeds = range(arguments.studies)
                    found[needed] = list(pool.map(partial(run, needed), seeds, chunksize=5))
            plain = found[Cell(cell.family, pruner="none")]
            print(row(cell, found[cell], plain, found[replace(cell, pruner=OURS, workers=1)]), flush=True)


if __name__ == "__main__":
    main()
