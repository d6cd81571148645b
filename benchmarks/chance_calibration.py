"""Is a contender better as often as `search confirm` says? Simulated races with known truth.

    python benchmarks/chance_calibration.py --races 400

Races are those of `confirm_calibration.py`; their scores come from `simulation/races.py`, which knows
nothing of the tested code. A value varies by 0.005. A probability of 20 % of being better counts as 80 % of
not being better, so the bins begin at 50 %.

The first table has, by family and by what was said, in percent: what was said on average, and how often it
was true with a 95 % interval (Wilson 1927); `*` where the one is outside the other. `all` are all
contenders of a race, `leading` is the one with the largest difference, which the answer prints.

The last table has equal contenders, which the prior leaves out: how often they are said to be better or
worse with so many percent.
"""

import argparse
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from confirm_calibration import run_race
from numpy.typing import NDArray
from simulation.percentages import percentage
from simulation.races import RaceFamily

from search.analysis.chances import chances
from search.analysis.looks import Floats

CONTENDERS = 3
BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FEWEST = 20  # cases, below which nothing is shown

TRUTHS: Mapping[str, Callable[[np.random.Generator], Floats]] = {
    "normal, 0.003": lambda rng: rng.normal(0, 0.003, CONTENDERS),
    "normal, 0.010": lambda rng: rng.normal(0, 0.010, CONTENDERS),
    "Laplace, 0.005": lambda rng: rng.laplace(0, 0.005, CONTENDERS),
    "normal around +0.004, 0.004": lambda rng: rng.normal(0.004, 0.004, CONTENDERS),
    "all alike, 0.006": lambda rng: rng.normal(0, 0.006) + rng.normal(0, 0.001, CONTENDERS),
}
NOISES: Mapping[str, Mapping[str, Any]] = {
    "independent": {},
    "correlation 0.5": {"correlation": 0.5},
    "correlation 0.8": {"correlation": 0.8},
    "one four times as noisy": {"spread": (1, 1, 1, 4)},
}


def said(
    truth: Callable[[np.random.Generator], Floats],
    noise: Mapping[str, Any],
    count: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Probabilities and true gains, (races, contenders) each, and the leading contender of each race."""
    told, gains, leading = [], [], []
    for _ in range(count):
        gains.append(truth(rng))
        seen, _, _ = run_race(RaceFamily("", tuple(gains[-1]), **noise), rng)
        told.append([each.better if each else np.nan for each in chances(seen, 1, None)])
        leading.append(int(np.nanmean(seen[1:] - seen[0], axis=1).argmax()))
    return np.array(told), np.array(gains), np.array(leading)


def cells(told: Floats, better: NDArray[np.bool_]) -> str:
    """By bin of what was said: its mean, and how often it was true."""
    sure, true = np.maximum(told, 1 - told), np.where(told >= 0.5, better, ~better)
    shown = []
    for low, high in pairwise(BINS):
        inside = (sure >= low) & ((sure < high) | (high == BINS[-1]))
        if inside.sum() < FEWEST:
            shown.append("-")
            continue
        mean, rate = 100 * sure[inside].mean(), percentage(true[inside].tolist())
        bounds = [float(each) for each in rate.rstrip(")").partition("(")[2].split("-")]
        shown.append(f"{mean:.0f}: {rate}{'' if bounds[0] <= mean <= bounds[1] else ' *'}")
    return " | ".join(shown)


def calibration(count: int) -> None:
    print("| true differences | noise | |", " | ".join(f"{100 * low:.0f} %" for low in BINS[:-1]), "|")
    print("|---" * (len(BINS) + 2) + "|")
    for row, (truth, draw) in enumerate(TRUTHS.items()):
        for column, (name, noise) in enumerate(NOISES.items()):
            if row > 1 and column > 0:
                continue
            told, gains, leading = said(draw, noise, count, np.random.default_rng(6000 + 10 * row + column))
            better, which = gains > 0, (np.arange(count), leading)
            print(f"| {truth} | {name} | all | {cells(told.ravel(), better.ravel())} |")
            print(f"| {truth} | {name} | leading | {cells(told[which], better[which])} |", flush=True)
            if "spread" in noise:
                others = cells(told[:, :2].ravel(), better[:, :2].ravel())
                print(f"| {truth} | {name} | the others | {others} |")
                print(f"| {truth} | {name} | the noisy one | {cells(told[:, 2], better[:, 2])} |")


def equal(count: int) -> None:
    print("\n| equal contenders |", " | ".join(f"over {100 * low:.0f} %" for low in BINS[2:-1]), "|")
    print("|---" * (len(BINS) - 2) + "|")
    for row, (name, noise) in enumerate(NOISES.items()):
        told, _, _ = said(lambda _: np.zeros(CONTENDERS), noise, count, np.random.default_rng(6100 + row))
        sure = np.maximum(told, 1 - told).ravel()
        shares = [percentage((sure >= low).tolist()) for low in BINS[2:-1]]
        print(f"| {name} | {' | '.join(shares)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--races", type=int, default=400)
    arguments = parser.parse_args()
    calibration(arguments.races)
    equal(arguments.races)


if __name__ == "__main__":
    main()
