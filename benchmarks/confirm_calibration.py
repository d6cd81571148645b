"""Are `search confirm` and `search ablate` right? Simulated races, searches, ablations with known truth.

    python benchmarks/confirm_calibration.py --races 400 --searches 200

Races come from `simulation/races.py`, which knows nothing of the tested code. Shares have a 95 % interval
(Wilson 1927). Columns of the first table, by family: `called`, races in % in which any contender was called
better or worse than the baseline or than another contender; `wrong`, those in which that was not so, or
the other way round; `same`, contenders that were called the same; `differences`: intervals in % that
contain the truth; `trainings`: on average, as a share of those that all seeds would take.

The next table has calls of a small true gain (one contender, with `--calls` races per gain): how often it
is called, the difference that was measured then and its interval, and both as they are when the call is
allowed for.

The next table is about searches: by how much the best value was above its config's level on average, and
what was predicted from the values alone, with the noise of a value known and with it taken 20 % too small.

The last table has ablations of changes with known effects, most with one interaction: by family the
intervals in % that contain the truth, for changes alone, for the whole difference, for the interaction of
every pair that was trained, and for what is left unexplained; ablations in % in which the interacting pair
was trained; trainings.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from simulation.percentages import percentage
from simulation.races import NOISE, SHARED, RaceFamily

from search.analysis.called_gain import gain_given_call
from search.analysis.changes import combinations
from search.analysis.effects import Effects
from search.analysis.effects import next_round as next_ablation
from search.analysis.looks import FUTILE, OPEN, Floats, Looks, figures, geometric_mean
from search.analysis.paired_race import SIDES, PairedScores, contender_pairs, looks_of
from search.analysis.paired_seeds import Estimate
from search.analysis.racing import Decisions, RaceDecision, Side
from search.analysis.winners_curse import expected_curse

FIRST, LAST = 3, 6
MARGIN = 0.005  # the stock objective's


EQUAL = (0.0, 0.0, 0.0)
FAMILIES = (
    RaceFamily("1 equal", (0.0,)),
    RaceFamily("3 equal", EQUAL),
    RaceFamily("3 equal, correlation 0.5", EQUAL, 0.5),
    RaceFamily("3 equal, correlation 0.8", EQUAL, 0.8),
    RaceFamily("3 equal, one four times as noisy", EQUAL, spread=(1, 1, 1, 4)),
    RaceFamily("3 equal, baseline half as noisy", EQUAL, spread=(1, 2, 2, 2)),
    RaceFamily("3 equal, baseline twice as noisy", EQUAL, spread=(1, 0.5, 0.5, 0.5)),
    RaceFamily("3 equal, heavy tails (t with 3)", EQUAL, tails=3),
    RaceFamily("3 equal, 10 seeds", EQUAL, last=10),
    RaceFamily("5 equal", (0.0,) * 5),
    RaceFamily("one 0.005 better", (0.005, 0.0, 0.0)),
    RaceFamily("one 0.010 better", (0.010, 0.0, 0.0)),
    RaceFamily("one 0.010 better, 10 seeds", (0.010, 0.0, 0.0), last=10),
    RaceFamily("one 0.015 better", (0.015, 0.0, 0.0)),
    RaceFamily("one 0.020 better", (0.020, 0.0, 0.0)),
    RaceFamily("all 0.010 better", (0.010, 0.010, 0.010)),
    RaceFamily("better and worse", (0.015, 0.005, -0.015)),
)


@dataclass(frozen=True)
class Race:
    """One race: whether anything was called, anything wrongly; by contender, what was decided and whether
    its interval holds the truth."""

    called: bool
    wrong: bool
    sides: Sequence[Side | None]
    differences: Sequence[bool]
    trainings: int


def run_race(
    family: RaceFamily, rng: np.random.Generator, *, moderated: bool = True
) -> tuple[Floats, Decisions, Looks]:
    """The scores that a race sees, what it decides, and its looks."""
    looks = looks_of(len(family.gains), FIRST, family.last, MARGIN, moderated=moderated)
    scores = family.draw_races(rng, 1)
    (played,) = seen_and_decided(scores, *outcomes(scores, looks))
    return *played, looks


def outcomes(
    scores: Floats, looks: Looks, futile: float = FUTILE
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What was decided in many races at once, and after how many seeds, (races, contenders) each.

    As `search.analysis.paired_race.decisions` decides one by one; OPEN with less than all seeds: futile.
    A contender has no seeds after its decision, so its variance stays what it was.
    """
    differences = scores[:, 1:] - scores[:, :1]
    sides = np.full(differences.shape[:2], OPEN)
    seeds, variances = np.full_like(sides, looks.last), np.ones(sides.shape)
    for look in range(looks.first, looks.last + 1):
        going = (sides == OPEN) & (seeds == looks.last)
        seen = differences[..., :look]
        variances[going] = seen[going].var(axis=-1, ddof=1)
        freedom = np.minimum(seeds, look) - 1
        common = None
        if looks.contenders > 1:
            common = np.broadcast_to(geometric_mean(variances, freedom), sides.shape)[going]
        sides[going] = looks.outcomes(*figures(seen[going], looks.overlap, common), look)
        ends = going & (sides != OPEN)
        if look < looks.last and futile:
            ends[going] |= looks.settles(seen[going], common) < futile
        seeds[ends] = look
    return sides, seeds


def seen_and_decided(
    scores: Floats, sides: NDArray[np.int64], seeds: NDArray[np.int64]
) -> Iterator[tuple[Floats, Decisions]]:
    """By race: the scores that were trained, NaN for the others, and the decisions."""
    last = scores.shape[-1]
    for drawn, side, ends in zip(scores, sides, seeds, strict=True):
        trained = np.arange(last) < np.append(ends.max(), ends)[:, None]
        decided: Decisions = [None]
        for code, end in zip(side.tolist(), ends.tolist(), strict=True):
            futile = RaceDecision("futile", end) if end < last else None
            decided.append(RaceDecision(SIDES[code], end) if code in SIDES else futile)
        yield np.where(trained, drawn, np.nan), decided


def race(family: RaceFamily, seen: Floats, decided: Decisions, looks: Looks) -> Race:
    """What a race came to."""
    levels = (0.0, *family.gains)
    calls = [(made.side, levels[config]) for config, made in enumerate(decided) if made]
    for pair in contender_pairs(seen, looks, decided):
        first, second = pair.configs
        calls.append((pair.side or "futile", levels[first] - levels[second]))
    told = [(side, gain) for side, gain in calls if side in ("higher", "lower")]
    paired = PairedScores(seen, moderated=True)
    found = [(paired.difference(each, 0), levels[each]) for each in range(1, len(levels))]
    return Race(
        called=bool(told),
        wrong=any(gain == 0 or (side == "higher") != (gain > 0) for side, gain in told),
        sides=[made and made.side for made in decided[1:]],
        differences=[holds(estimate, truth) for estimate, truth in found],
        trainings=int(np.isfinite(seen).sum()),
    )


def races(count: int) -> None:
    print("| family | called | wrong | same | differences | trainings |")
    print("|---|---|---|---|---|---|")
    for row, family in enumerate(FAMILIES):
        scores = family.draw_races(np.random.default_rng(500 + row), count)
        looks = looks_of(len(family.gains), FIRST, family.last, MARGIN)
        played = seen_and_decided(scores, *outcomes(scores, looks))
        found = [race(family, *each, looks) for each in played]
        most = (len(family.gains) + 1) * family.last
        print(
            f"| {family.name} | {percentage([each.called for each in found])} "
            f"| {percentage([each.wrong for each in found])} "
            f"| {percentage([side == 'same' for each in found for side in each.sides])} "
            f"| {percentage([held for each in found for held in each.differences])} "
            f"| {np.mean([each.trainings for each in found]):.1f} of {most} |",
            flush=True,
        )


# -- the size of a call ------------------------------------------------------------------------------


def calls(count: int) -> None:
    print("\n| true gain | called | measured | held | allowing for the call | held |")
    print("|---|---|---|---|---|---|")
    for row, gain in enumerate((0.003, 0.005, 0.010, 0.015, 0.020)):
        rng, called = np.random.default_rng(3000 + row), []
        for _ in range(count):
            seen, decided, looks = run_race(RaceFamily("", (gain,)), rng)
            if (made := decided[1]) and made.side in ("higher", "lower"):
                pairs = PairedScores(seen)
                allowed = gain_given_call(pairs.differences(1, 0), looks)
                called.append((pairs.difference(1, 0), allowed))
        plain, allowed_for = zip(*called, strict=True)
        print(
            f"| {gain:.3f} | {percentage([True] * len(called) + [False] * (count - len(called)))} "
            f"| {np.mean([each.value for each in plain]):+.4f} "
            f"| {percentage([holds(each, gain) for each in plain])} "
            f"| {np.mean([each.value for each in allowed_for]):+.4f} "
            f"| {percentage([holds(each, gain) for each in allowed_for])} |",
            flush=True,
        )


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


def curses(count: int) -> None:
    print("\n| search | trials | best above its level | predicted | noise 20 % too small |")
    print("|---|---|---|---|---|")
    for row, (name, levels) in enumerate(SEARCHES.items()):
        for trials in (15, 60):
            rng = np.random.default_rng(1000 + row)
            truth, known, small = (
                float(figures.mean()) for figures in searches(levels, trials, count, rng)
            )
            print(
                f"| {name} | {trials} | {truth:.4f} | {known:.4f} ({known - truth:+.4f}) "
                f"| {small:.4f} ({small - truth:+.4f}) |",
                flush=True,
            )


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
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--searches", type=int, default=50)
    parser.add_argument("--ablations", type=int, default=200)
    arguments = parser.parse_args()
    if arguments.races:
        races(arguments.races)
    if arguments.calls:
        calls(arguments.calls)
    if arguments.searches:
        curses(arguments.searches)
    if arguments.ablations:
        ablations(arguments.ablations)


if __name__ == "__main__":
    main()
