"""Are `search confirm` and the curse it predicts right? Simulated races and searches whose truth is known.

    python benchmarks/retraining.py --races 2000 --searches 200

A score of a race is a config, a seed's part that all configs share (standard deviation 0.003) and noise
(0.005). The first table has by family: `called`, races in % in which any contender was called better or
worse; `wrong`, those in which one was called that is not, or the wrong way round; `differences`, `means`:
intervals in % that hold the truth; `trainings`: on average, of those that all seeds would take. Shares with
their 95 % interval (Wilson 1927).

The second table has searches: the mean over them of how far the best value was above its config's level,
and of what was predicted from the values alone, with the noise of one value known and with it taken
20 % too small.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from search.contrasts import Blocks, Floats
from search.curse import expected_curse
from search.race import calls, next_round

NOISE, SHARED = 0.005, 0.003
FIRST, LAST = 3, 6


@dataclass(frozen=True)
class Family:
    """Races of contenders that are so much better than the baseline.

    Attributes:
        spread: how many times as much each config varies as the baseline.
    """

    name: str
    gains: tuple[float, ...]
    spread: float = 1.0
    last: int = LAST


FAMILIES = (
    Family("1 equal", (0.0,)),
    Family("3 equal", (0.0,) * 3),
    Family("3 equal, 10 seeds", (0.0,) * 3, last=10),
    Family("5 equal", (0.0,) * 5),
    Family("3 equal, twice as noisy", (0.0,) * 3, spread=2.0),
    Family("one 0.005 better", (0.005, 0.0, 0.0)),
    Family("one 0.010 better", (0.010, 0.0, 0.0)),
    Family("one 0.015 better", (0.015, 0.0, 0.0)),
    Family("all 0.010 better", (0.010, 0.010, 0.010)),
    Family("better and worse", (0.015, 0.005, -0.015)),
)


@dataclass(frozen=True)
class Race:
    """One race: whether anything was called, anything wrongly; shares of intervals that hold the truth."""

    called: bool
    wrong: bool
    differences: Sequence[bool]
    means: Sequence[bool]
    trainings: int


def race(family: Family, rng: np.random.Generator) -> Race:
    """Seeds are drawn as the race asks for them."""
    gains = np.array([0.0, *family.gains])
    noise = NOISE * np.array([1.0, *[family.spread] * len(family.gains)])
    full = 0.66 + gains[:, None] + SHARED * rng.standard_normal((1, family.last))
    full = full + noise[:, None] * rng.standard_normal((len(gains), family.last))
    seen = np.full((len(gains), 0), np.nan)
    while cells := next_round(seen, FIRST, family.last):
        seen = np.pad(seen, ((0, 0), (0, cells[-1][1] + 1 - seen.shape[1])), constant_values=np.nan)
        for cell in cells:
            seen[cell] = full[cell]
    sides = [call.side if call else None for call in calls(seen, FIRST, family.last)[1:]]
    blocks = Blocks(seen)
    configs = range(1, len(gains))
    differences = [(blocks.difference(config, 0), gains[config]) for config in configs]
    means = [(blocks.mean(config), 0.66 + gains[config]) for config in range(len(gains))]
    return Race(
        called=any(sides),
        wrong=any(
            side is not None and (gain == 0 or (side == "higher") != (gain > 0))
            for side, gain in zip(sides, family.gains, strict=True)
        ),
        differences=[found.low <= truth <= found.high for found, truth in differences if found],
        means=[found.low <= truth <= found.high for found, truth in means if found],
        trainings=int(np.isfinite(seen).sum()),
    )


def share(hits: Sequence[bool]) -> str:
    """Percentage with its Wilson interval, which is right for rare events too."""
    n, p, z = len(hits), float(np.mean(hits)), 1.96
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return f"{100 * p:.1f} ({max(0.0, 100 * (centre - half)):.1f}-{100 * (centre + half):.1f})"


# -- the winner's curse ------------------------------------------------------------------------------

Levels = Callable[[np.random.Generator, int], Floats]

SEARCHES: dict[str, Levels] = {
    "equal configs": lambda rng, n: np.full(n, 0.66),
    "normal, as wide as the noise": lambda rng, n: rng.normal(0.66, 0.005, n),
    "normal, twice as wide": lambda rng, n: rng.normal(0.66, 0.01, n),
    "a hill, drawn evenly": lambda rng, n: 0.69 - 0.04 * (rng.uniform(-1, 1, (n, 3)) ** 2).sum(axis=1),
    "a hill, climbed": lambda rng, n: (
        0.69 - 0.06 * ((rng.uniform(-1, 1, (n, 3)) * np.linspace(1, 0.2, n)[:, None]) ** 2).sum(axis=1)
    ),
    "one in five fails": lambda rng, n: np.where(rng.random(n) < 0.2, 0.3, rng.normal(0.66, 0.008, n)),
    "one far ahead": lambda rng, n: np.append(rng.normal(0.6, 0.003, n - 1), 0.65),
}


def searches(
    levels: Levels, trials: int, count: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """How far the best was above its level, predicted with the noise known, and with it too small."""
    found = np.empty((3, count))
    for index in range(count):
        truth = levels(rng, trials)
        values = truth + NOISE * rng.standard_normal(trials)
        best = values.argmax()
        found[0, index] = values[best] - truth[best]
        found[1, index] = expected_curse(values.tolist(), NOISE)
        found[2, index] = expected_curse(values.tolist(), 0.8 * NOISE)
    return found[0], found[1], found[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--races", type=int, default=400)
    parser.add_argument("--searches", type=int, default=50)
    arguments = parser.parse_args()
    print("| family | called | wrong | differences | means | trainings |")
    print("|---|---|---|---|---|---|")
    for row, family in enumerate(FAMILIES):
        rng = np.random.default_rng(row)
        found = [race(family, rng) for _ in range(arguments.races)]
        most = (len(family.gains) + 1) * family.last
        print(
            f"| {family.name} | {share([each.called for each in found])} "
            f"| {share([each.wrong for each in found])} "
            f"| {share([held for each in found for held in each.differences])} "
            f"| {share([held for each in found for held in each.means])} "
            f"| {np.mean([each.trainings for each in found]):.1f} of {most} |",
            flush=True,
        )
    print("\n| search | trials | best above its level | predicted | noise 20 % too small |")
    print("|---|---|---|---|---|")
    for row, (name, levels) in enumerate(SEARCHES.items()):
        for trials in (15, 60):
            rng = np.random.default_rng(1000 + row)
            truth, known, small = (
                float(figures.mean()) for figures in searches(levels, trials, arguments.searches, rng)
            )
            print(
                f"| {name} | {trials} | {truth:.4f} | {known:.4f} ({known - truth:+.4f}) "
                f"| {small:.4f} ({small - truth:+.4f}) |",
                flush=True,
            )


if __name__ == "__main__":
    main()
