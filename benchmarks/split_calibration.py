"""Are races right whose seeds draw a train/val split each? Simulated races with known truth.

    python benchmarks/split_calibration.py --races 400

A race has one data set, and each of its seeds draws a split of it. What is said of a config is meant for
other data of that kind, so two things are drawn anew for every race: the data, and the splits.

Two generators, neither of which uses the tested code:

`correlated`: the scores of a config over splits are normal, with the correlation `val / (train + val)` that
Nadeau and Bengio (2003) assume, the configs independent of each other.

`trained`: really trained. Each config is a least-squares regression on features of its own, all of which
say equally much about the target, so all configs are equal by symmetry; a known gain is added to the score.
A split trains on the one part of the data and is scored on the other, by minus the mean squared error;
`own` is the standard deviation of the noise of a training's own seed, as a share of that between splits.

In percent, with 95 % intervals (Wilson 1927), of the plain rule and of the corrected one: `called`, races
in which any contender was called better or worse than the baseline or another contender; `wrong`, races in
which that was untrue; `differences`, intervals of a contender less the baseline that hold the truth;
`means`, intervals of a config's own mean that do.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from confirm_calibration import outcomes, seen_and_decided
from simulation.percentages import percentage

from search.analysis.looks import Floats, Looks
from search.analysis.paired_race import PairedScores, contender_pairs, looks_of
from search.analysis.paired_seeds import Estimate
from search.analysis.racing import Decisions

FIRST, FEATURES = 3, 4
SCALE = 400  # data sets behind the noise of one score, which gains and `own` are in units of


@dataclass(frozen=True)
class SplitFamily:
    """Races whose configs have a known gain over the baseline, in units of the noise of one score.

    Attributes:
        train, val: examples of a split. own: as above; None: `correlated` scores.
    """

    train: int
    val: int
    gains: Sequence[float]
    last: int = 6
    own: float | None = None

    @property
    def name(self) -> str:
        gains = "equal" if not any(self.gains) else f"one {max(self.gains):g} better"
        kind = "correlated" if self.own is None else f"trained, own {self.own:g}"
        return f"{kind}; {len(self.gains)} {gains}; {self.train} + {self.val}; {self.last} seeds"


EQUAL = (0.0, 0.0, 0.0)
FAMILIES = (
    SplitFamily(180, 20, EQUAL),
    SplitFamily(160, 40, EQUAL),
    SplitFamily(160, 40, EQUAL, last=12),
    SplitFamily(180, 20, (4.0, 0.0, 0.0)),
    SplitFamily(180, 20, (0.0,), own=0.0),
    SplitFamily(180, 20, EQUAL, own=0.0),
    SplitFamily(180, 20, EQUAL, own=1.0),
    SplitFamily(160, 40, EQUAL, own=0.0),
    SplitFamily(160, 40, EQUAL, last=12, own=0.0),
    SplitFamily(100, 100, EQUAL, own=0.0),
    SplitFamily(180, 20, (4.0, 0.0, 0.0), own=0.0),
)


def correlated(family: SplitFamily, configs: int, rng: np.random.Generator) -> Floats:
    """Scores of equal configs, (configs, splits), of mean 0."""
    share = family.val / (family.train + family.val)
    own = rng.standard_normal((configs, family.last))
    alike: Floats = np.sqrt(share) * rng.standard_normal((configs, 1)) + np.sqrt(1 - share) * own
    return alike


def trained(family: SplitFamily, configs: int, rng: np.random.Generator) -> Floats:
    """Scores of equal configs on one data set, (configs, splits); `level` is their true mean."""
    count = family.train + family.val
    x = rng.standard_normal((configs, count, FEATURES))
    y = x.sum(axis=(0, 2)) / np.sqrt(configs * FEATURES) + 0.5 * rng.standard_normal(count)
    scores = np.empty((configs, family.last))
    for split in range(family.last):
        order = rng.permutation(count)
        train, val = order[: family.train], order[family.train :]
        rows = x[:, train]
        weights = np.linalg.solve(
            rows.transpose(0, 2, 1) @ rows, rows.transpose(0, 2, 1) @ y[train][:, None]
        )
        scores[:, split] = -(((x[:, val] @ weights)[..., 0] - y[val]) ** 2).mean(axis=1)
    return scores


def drawer(family: SplitFamily, rng: np.random.Generator) -> tuple[Callable[[], Floats], Floats]:
    """What draws the scores of a race, (configs, splits), and the true mean of each config."""
    configs = len(family.gains) + 1
    gains = np.array([0.0, *family.gains])
    if family.own is None:
        return lambda: correlated(family, configs, rng) + gains[:, None], gains
    several = np.array([trained(family, configs, rng) for _ in range(SCALE)])
    unit = float(several[..., 0].std())
    spread = family.own * float(np.sqrt(several.var(axis=2, ddof=1).mean()))
    mean = level(family, configs)

    def draw() -> Floats:
        noise = spread * rng.standard_normal((configs, family.last))
        return trained(family, configs, rng) + unit * gains[:, None] + noise

    return draw, mean + unit * gains


def level(family: SplitFamily, configs: int) -> float:
    """The expected score of a config: of least squares without an intercept on normal features.

    What the features of a config leave of the target has the variance v, which the expected squared error
    on a new example exceeds by the factor 1 + p / (n - p - 1), with p features and n training examples.
    """
    left = (configs - 1) / configs + 0.5**2
    return -left * (1 + FEATURES / (family.train - FEATURES - 1))


@dataclass(frozen=True)
class Outcome:
    """One race by one rule: whether anything was called, or wrongly; which intervals hold the truth."""

    called: bool
    wrong: bool
    differences: Sequence[bool]
    means: Sequence[bool]


def race(seen: Floats, decided: Decisions, truth: Floats, looks: Looks) -> Outcome:
    calls = [(made.side, truth[config] - truth[0]) for config, made in enumerate(decided) if made]
    for pair in contender_pairs(seen, looks, decided):
        first, second = pair.configs
        calls.append((pair.side or "futile", truth[first] - truth[second]))
    told = [(side, gain) for side, gain in calls if side in ("higher", "lower")]
    scores, configs = PairedScores(seen, looks.overlap, moderated=True), range(len(seen))
    return Outcome(
        called=bool(told),
        wrong=any(gain == 0 or (side == "higher") != (gain > 0) for side, gain in told),
        differences=[holds(scores.difference(each, 0), truth[each] - truth[0]) for each in configs[1:]],
        means=[holds(scores.mean(each), truth[each]) for each in configs],
    )


def holds(estimate: Estimate | None, truth: float) -> bool:
    return estimate is not None and estimate.low <= truth <= estimate.high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--races", type=int, default=400, help="a row")
    parser.add_argument("--only", default="", metavar="NAME", help="families whose names begin so")
    arguments = parser.parse_args()
    print("| family | rule | called | wrong | differences | means |")
    print("|---|---|---|---|---|---|")
    for row, family in enumerate(FAMILIES):
        if not family.name.startswith(arguments.only):
            continue
        draw, truth = drawer(family, np.random.default_rng(700 + row))
        drawn = np.array([draw() for _ in range(arguments.races)])
        for rule, overlap in (("plain", 0.0), ("corrected", family.val / family.train)):
            looks = looks_of(len(family.gains), FIRST, family.last, None, overlap)
            played = seen_and_decided(drawn, *outcomes(drawn, looks))
            found = [race(*each, truth, looks) for each in played]
            print(
                f"| {family.name} | {rule} | {percentage([each.called for each in found])} "
                f"| {percentage([each.wrong for each in found])} "
                f"| {percentage([held for each in found for held in each.differences])} "
                f"| {percentage([held for each in found for held in each.means])} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
