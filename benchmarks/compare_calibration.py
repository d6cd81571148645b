"""Is `search compare` right about how much two runs differ? Simulated pairs whose truth is known.

    python benchmarks/compare_calibration.py --pairs 2000

A run's scores are a trend and AR(1) noise, as in the recorded hand runs: the trend climbs to 0.66 by
epoch 95 and then falls a little, and the noise has a standard deviation of 0.017 per epoch. A pair differs
by a known amount, 0 for the same config twice (A/A). A run is judged by its best epochs.

Columns, by family and autocorrelation: `called`, pairs in % of which one was called better; `wrong`, those
in which it was not the better one (in an A/A pair, all); `covered`, intervals in % that contain the true
difference of the highest means of the trends; `raw best`, pairs in % whose best epochs differ by 0.0152 or
more, the gain that the write-up reports; `luck`, by how much the level was above the trend's, predicted
minus measured. Shares have a 95 % interval (Wilson 1927).

In the family `stopped` both runs stop 30 epochs after their best raw score: by chance one may stop while it
still climbs, and then it truly ends lower.
"""

import argparse
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from simulation.noise import autoregressive
from simulation.percentages import percentage

from search.analysis.noise import compare, moving_means

NOISE = 0.017
AUTOCORRELATIONS = (0.0, 0.15, 0.5)
REPORTED = 0.0152

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Family:
    """Pairs of `epochs` whose trends differ by `difference`; with `patience` they stop by themselves."""

    name: str
    epochs: tuple[int, int]
    difference: float = 0.0
    patience: int | None = None


FAMILIES = (
    Family("A/A, 143 epochs", (143, 143)),
    Family("A/A, 112 and 143", (112, 143)),
    Family("A/A, 60 epochs", (60, 60)),
    Family("A/A, 30 epochs", (30, 30)),
    Family("A/A, 10 epochs", (10, 10)),
    Family("A/A, stopped", (200, 200), patience=30),
    Family("b 0.005 better", (143, 143), difference=0.005),
    Family("b 0.015 better", (112, 143), difference=0.015),
    Family("b 0.030 better", (143, 143), difference=0.03),
)


@dataclass(frozen=True)
class Outcome:
    """One pair: who was called, whether rightly, whether the interval held the truth, and so on."""

    called: bool
    wrong: bool
    covered: bool
    reported: bool
    luck: float


def trend(epochs: int) -> Floats:
    """0.15 at epoch 5, 0.57 at 30, 0.66 at 95, 0.65 at 143: the shape of the recorded hand runs."""
    t = np.arange(1, epochs + 1, dtype=np.float64)
    return 0.68 - 0.55 * np.exp(-t / 13) - 0.12 * np.exp(-t / 45) - 0.0005 * np.clip(t - 95, 0, None)


def simulate(family: Family, autocorrelation: float, rng: np.random.Generator) -> Outcome:
    trends = [trend(family.epochs[0]), trend(family.epochs[1]) + family.difference]
    noise = [autoregressive(rng, autocorrelation, (1, len(each)))[0] for each in trends]
    runs = [each + NOISE * drawn for each, drawn in zip(trends, noise, strict=True)]
    if family.patience:
        runs = [stopped(run, family.patience) for run in runs]
    found = compare(runs[0].tolist(), runs[1].tolist())
    if found.a is None or found.b is None or found.difference is None:
        raise ValueError("a simulated run is too short")
    levels = [
        float(moving_means(each[: len(run)], found.window).max())
        for each, run in zip(trends, runs, strict=True)
    ]
    truth = levels[1] - levels[0]
    called = found.verdict != "not distinguishable"
    return Outcome(
        called=called,
        wrong=called and (family.difference == 0 or found.verdict == "a better"),
        covered=found.difference.low <= truth <= found.difference.high,
        reported=abs(float(runs[1].max() - runs[0].max())) >= REPORTED,
        luck=found.a.luck - (found.a.mean - levels[0]),
    )


def stopped(run: Floats, patience: int) -> Floats:
    """The run up to the first epoch that is `patience` epochs after its best."""
    best = 0
    for epoch, score in enumerate(run):
        if score > run[best]:
            best = epoch
        if epoch - best >= patience:
            return run[: epoch + 1]
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulated pairs of runs: is the verdict right?")
    parser.add_argument("--pairs", type=int, default=400, help="pairs a row")
    arguments = parser.parse_args()
    print("| family | phi | called | wrong | covered | raw best | luck |")
    print("|---|---|---|---|---|---|---|")
    for row, (family, autocorrelation) in enumerate(product(FAMILIES, AUTOCORRELATIONS)):
        rng = np.random.default_rng(row)
        pairs = [simulate(family, autocorrelation, rng) for _ in range(arguments.pairs)]
        print(
            f"| {family.name} | {autocorrelation} "
            f"| {percentage([pair.called for pair in pairs])} "
            f"| {percentage([pair.wrong for pair in pairs])} "
            f"| {percentage([pair.covered for pair in pairs])} "
            f"| {100 * np.mean([pair.reported for pair in pairs]):.0f} "
            f"| {np.mean([pair.luck for pair in pairs]):+.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
