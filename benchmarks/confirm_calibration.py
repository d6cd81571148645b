"""Are `search confirm` and `search ablate` right? Simulated races, searches, ablations with known truth.

    python benchmarks/confirm_calibration.py --races 2000 --searches 200

A score of a race is a config, a seed's part that all configs share (standard deviation 0.003) and noise
(0.005). Columns of the first table, by family: `called`, races in % in which any contender was called
better or worse; `wrong`, those in which that was not so, or the other way round; `differences`, `means`:
intervals in % that contain the truth; `trainings`: on average, as a share of those that all seeds would
take. Shares have a 95 % interval (Wilson 1927). The line before it has the share of races between equals in
which anything is called, of 300,000 that are drawn at once: rare events need many.

The second table is about searches: by how much the best value was above its config's level on average, and
what was predicted from the values alone, with the noise of a value known and with it taken 20 % too small.

The third table has ablations of changes with known effects, most with one interaction: by family the
intervals in % that contain the truth, for changes alone, for the whole difference, for the interaction of
every pair that was trained, and for what is left unexplained; ablations in % in which the interacting pair
was trained; trainings.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr
from simulation.percentages import percentage

from search.analysis.changes import combinations
from search.analysis.effects import Effects
from search.analysis.effects import next_round as next_ablation
from search.analysis.paired_seeds import Blocks, Estimate, Floats, balanced_t, nominal_level
from search.analysis.racing import decisions, next_round
from search.analysis.winners_curse import expected_curse

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
    Family("3 equal, half as noisy", (0.0,) * 3, spread=0.5),
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
    sides = [call.side if call else None for call in decisions(seen, FIRST, family.last)[1:]]
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


def called_of_equals(contenders: int, rng: np.random.Generator, races: int = 300_000) -> float:
    """The share of races of equal configs in which any look calls anything."""
    nominal, called, part = nominal_level(contenders, FIRST, LAST), 0, 30_000
    for _ in range(races // part):
        scores = rng.standard_normal((part, contenders + 1, LAST))
        lowest = np.ones(part)
        for seeds in range(FIRST, LAST + 1):
            t, freedom = balanced_t(scores[:, :, :seeds])
            lowest = np.minimum(lowest, 2 * stdtr(freedom, -np.abs(t).max(axis=1)))
        called += int((lowest <= nominal).sum())
    return called / races


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


# -- ablation ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Path:
    """A way from A to B: the effect of each change alone, and interactions by pair."""

    name: str
    effects: tuple[float, ...]
    interactions: Mapping[tuple[int, int], float]


PATHS = (
    Path("2 changes, none interact", (0.010, 0.003), {}),
    Path("2 changes, interacting", (0.009, 0.001), {(0, 1): 0.010}),
    Path("3 changes, none interact", (0.012, 0.004, -0.005), {}),
    Path("3 changes, a pair of 0.015", (0.012, 0.004, -0.005), {(0, 1): 0.015}),
    Path("3 changes, a pair of 0.030", (0.012, 0.004, -0.005), {(0, 1): 0.030}),
    Path("5 changes, a pair of 0.030", (0.012, 0.0, 0.006, 0.0, -0.004), {(0, 2): 0.030}),
)


@dataclass(frozen=True)
class Ablated:
    """One ablation: shares of intervals that hold the truth, whether the right pair was trained."""

    alone: Sequence[bool]
    total: Sequence[bool]
    pairs: Sequence[bool]
    unexplained: Sequence[bool]
    found: bool
    trainings: int


def ablate(path: Path, rng: np.random.Generator) -> Ablated:
    made = combinations([{} for _ in path.effects])
    opening = sum(len(each) in (0, 1, len(path.effects)) for each in made)

    def level(config: int) -> float:
        alone = sum(path.effects[change] for change in made[config])
        together = (size for pair, size in path.interactions.items() if {*pair} <= {*made[config]})
        return 0.66 + alone + sum(together)

    truth = np.array([level(config) for config in range(len(made))])
    full = truth[:, None] + SHARED * rng.standard_normal((1, LAST))
    full = full + NOISE * rng.standard_normal((len(made), LAST))
    seen = np.full((len(made), 0), np.nan)
    while cells := next_ablation(seen, made, opening, FIRST, LAST):
        wider = max(seen.shape[1], *(block + 1 for _, block in cells))
        seen = np.pad(seen, ((0, 0), (0, wider - seen.shape[1])), constant_values=np.nan)
        for cell in cells:
            seen[cell] = full[cell]
    found = Effects(seen, made)
    trained = {pair.changes: pair for pair in found.pairs}
    explained = sum(path.interactions.get(pair, 0.0) for pair in trained if len(path.effects) > 2)
    left = sum(path.interactions.values()) - explained
    return Ablated(
        alone=[holds(each, size) for each, size in zip(found.alone, path.effects, strict=True)],
        total=[holds(found.total, truth[found.whole] - truth[0])],
        pairs=[
            holds(pair.interaction, path.interactions.get(changes, 0.0))
            for changes, pair in trained.items()
        ],
        unexplained=[holds(found.unexplained, left)] if found.unexplained else [],
        found=all(pair in trained for pair in path.interactions),
        trainings=int(np.isfinite(seen).sum()),
    )


def holds(estimate: Estimate | None, truth: float) -> bool:
    return estimate is not None and estimate.low <= truth <= estimate.high


def ablations(count: int) -> None:
    print("\n| path | alone | whole | pairs | unexplained | pair found | trainings |")
    print("|---|---|---|---|---|---|---|")
    for row, path in enumerate(PATHS):
        rng = np.random.default_rng(2000 + row)
        found = [ablate(path, rng) for _ in range(count)]
        shares = [
            percentage([held for each in found for held in getattr(each, name)] or [True])
            for name in ("alone", "total", "pairs", "unexplained")
        ]
        told = percentage([each.found for each in found]) if path.interactions else "-"
        mean = np.mean([each.trainings for each in found])
        print(f"| {path.name} | {' | '.join(shares)} | {told} | {mean:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--races", type=int, default=400)
    parser.add_argument("--searches", type=int, default=50)
    parser.add_argument("--ablations", type=int, default=200)
    arguments = parser.parse_args()
    rng = np.random.default_rng(77)
    levels = (f"{100 * called_of_equals(count, rng):.2f} % with {count}" for count in (1, 3, 5))
    print(f"races of equal contenders in which one is called: {', '.join(levels)}\n", flush=True)
    print("| family | called | wrong | differences | means | trainings |")
    print("|---|---|---|---|---|---|")
    for row, family in enumerate(FAMILIES):
        rng = np.random.default_rng(1 + row)  # not the stream that the level was simulated with
        found = [race(family, rng) for _ in range(arguments.races)]
        most = (len(family.gains) + 1) * family.last
        print(
            f"| {family.name} | {percentage([each.called for each in found])} "
            f"| {percentage([each.wrong for each in found])} "
            f"| {percentage([held for each in found for held in each.differences])} "
            f"| {percentage([held for each in found for held in each.means])} "
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
    ablations(arguments.ablations)


if __name__ == "__main__":
    main()
