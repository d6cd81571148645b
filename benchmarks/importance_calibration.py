"""Is `search report` right about which parameters matter? Simulated studies whose truth is known.

    python benchmarks/importance_calibration.py --studies 30

A study has 40 complete trials of four parameters, drawn evenly or by TPE. A value is 0.66 with noise of
0.005, less a hill's slope along the first parameter: `drop` from its top, at 0.3, to the far end of its
range. The others do nothing.

Columns, by family: `called`, studies in % in which any parameter is reported above chance; `wrong`, in
which one is that has no effect; `first`, in which the first parameter has the largest share; `found`, in
which it is above chance. With 95 % intervals (Wilson 1927).

The level of chance is taken from 39 permutations, where a report takes 200: the same test at the same
level, in a fifth of the time and with a little less power.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from simulation.percentages import percentage

from search.analysis import importance
from search.records import Record
from search.spec.parameter import Parameter

TRIALS = 40
LEVEL, NOISE, TOP = 0.66, 0.005, 0.3
SPACE = [Parameter(name=name, low=0.0, high=1.0) for name in ("hill", "flat", "even", "plain")]
HILL = SPACE[0].name


@dataclass(frozen=True)
class Family:
    """Studies in which the first parameter costs up to `drop`."""

    name: str
    drop: float
    sampled: bool


FAMILIES = (
    Family("nothing matters, drawn evenly", 0.0, sampled=False),
    Family("nothing matters, by TPE", 0.0, sampled=True),
    Family("0.01 to lose, drawn evenly", 0.01, sampled=False),
    Family("0.01 to lose, by TPE", 0.01, sampled=True),
    Family("0.03 to lose, drawn evenly", 0.03, sampled=False),
    Family("0.03 to lose, by TPE", 0.03, sampled=True),
)


@dataclass(frozen=True)
class Outcome:
    """What one study is told: which parameters are above chance, and which has the largest share."""

    above: list[str]
    first: str


def trials_of(family: Family, seed: int, trials: int) -> list[Record]:
    """A study of so many complete trials."""
    rng = np.random.default_rng(seed)
    sampler: BaseSampler = (
        TPESampler(seed=seed, multivariate=True) if family.sampled else RandomSampler(seed)
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    records = []
    for number in range(trials):
        trial = study.ask()
        params = {each.name: trial.suggest_float(each.name, each.low, each.high) for each in SPACE}
        value = (
            LEVEL - family.drop * ((params[HILL] - TOP) / (1 - TOP)) ** 2 + NOISE * rng.standard_normal()
        )
        study.tell(trial, value)
        records.append(complete(number, params, value))
    return records


def simulate(family: Family, seed: int) -> Outcome:
    found = importance.importance_of(trials_of(family, seed, TRIALS), SPACE, "maximize")
    if found is None:
        raise ValueError("a simulated study is too small")
    return Outcome([each.name for each in found.shares if found.stands_out(each)], found.shares[0].name)


def complete(number: int, params: dict[str, float], value: float) -> Record:
    """A trial of one epoch."""
    return Record(
        number=number,
        state="complete",
        value=value,
        last=value,
        best_score=value,
        best_epoch=1,
        params=params,
        known=None,
        seed=0,
        epochs=1,
        curve=[value],
        reason=None,
        worker=None,
        attempts=1,
        seconds=1.0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulated studies: is it right what is said to matter?")
    parser.add_argument(
        "--studies", type=int, default=30, help="a row; four times as many where nothing matters"
    )
    parser.add_argument("--shufflings", type=int, default=39, help="for the level of chance, 19 or more")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    importance.SHUFFLINGS = arguments.shufflings
    importance.RESAMPLES = 1  # the intervals are not looked at
    print("| family | studies | called | wrong | first | found |")
    print("|---|---|---|---|---|---|")
    for family in FAMILIES:
        count = arguments.studies if family.drop else 4 * arguments.studies
        found = [simulate(family, seed) for seed in range(count)]
        wrong = percentage([any(name != HILL or not family.drop for name in each.above) for each in found])
        right = ["-", "-"]
        if family.drop:
            right = [
                percentage([each.first == HILL for each in found]),
                percentage([HILL in each.above for each in found]),
            ]
        called = percentage([bool(each.above) for each in found])
        print(f"| {family.name} | {count} | {called} | {wrong} | {' | '.join(right)} |", flush=True)


if __name__ == "__main__":
    main()
