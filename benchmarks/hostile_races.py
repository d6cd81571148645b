"""How often is a race of `search confirm` wrong where contenders differ in noise, and what does it find?

    nice -n 10 python benchmarks/hostile_races.py --races 4000

Contenders have a variance in common (`search/analysis/looks.py`), which is wrong where one varies more than
the others, and says less than it seems to where they are alike. Scores come from `simulation/races.py`,
which knows nothing of the tested code. All races of a family are played at once, without ending any for
futility: that calls nothing, so with it no share of calls is larger. Nor, but in the last column, is
anything called the same. In percent, with 95 % intervals (Wilson 1927).

The first table is about errors. `wrong`: races in which anything was called better or worse that was not
so; `the last one`: those in which the last contender was called so, which equals the baseline in all
families and is the noisy one where one is; `its interval`: intervals of its difference that hold the truth;
`same at the margin`: races in which it was called the same, where it was better by just the margin.

The second table is about power: races in which the one contender of three that is better was called better,
by the present rule and by that of older versions, where each contender has only its own variance.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from simulation.percentages import percentage
from simulation.races import RaceFamily

from search.analysis.looks import ALIKE, HIGHER, OPEN, Floats, Looks, geometric_mean, moderated
from search.analysis.paired_race import SIDES, contender_pairs, looks_of
from search.analysis.paired_seeds import RACED
from search.analysis.racing import RaceDecision

FIRST = 3
MARGIN = 0.015  # wide enough that equality is found


def noises(contenders: int) -> Mapping[str, Mapping[str, Any]]:
    """Families of noise, or of gains of which the last is 0, by name."""
    others = (1.0,) * contenders
    alone: dict[str, dict[str, Any]] = {
        "alike": {},
        "heavy tails (t with 3)": {"tails": 3},
        "one four times as noisy": {"spread": (*others, 4.0)},
    }
    if contenders == 1:
        return alone
    return alone | {
        "correlation 0.5": {"correlation": 0.5},
        "correlation 0.8": {"correlation": 0.8},
        "baseline twice as noisy": {"spread": (2.0, *others)},
        "baseline half as noisy": {"spread": (0.5, *others)},
        "proportional to the score": {"proportional": True, "gains": (*[-0.5] * (contenders - 1), 0.0)},
    }


def played(scores: Floats, looks: Looks) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Outcomes of `Looks`, seeds, half widths of intervals, and means, (races, contenders) each.

    A contender has no seeds after its outcome; its variance and interval stay what they were then.
    """
    differences = scores[:, 1:] - scores[:, :1]
    sides = np.full(differences.shape[:2], OPEN)
    seeds, half, means = np.full_like(sides, looks.first), np.empty(sides.shape), np.empty(sides.shape)
    own = np.empty(sides.shape)
    for look in range(looks.first, looks.last + 1):
        going = sides == OPEN
        seeds[going] = look
        own[going] = differences[..., :look].var(axis=-1, ddof=1)[going]
        common = geometric_mean(own, seeds - 1) if looks.contenders > 1 else None
        variance, freedom = moderated(own, look - 1, common)
        mean, error = differences[..., :look].mean(axis=-1), np.sqrt(variance / look)
        means[going] = mean[going]
        half[going] = (stdtrit(freedom, (1 + RACED) / 2) * error)[going]
        sides[going] = looks.outcomes(mean, error, freedom, look)[going]
    return sides, seeds, half, means


def wrong(family: RaceFamily, scores: Floats, looks: Looks) -> tuple[list[bool], Floats, list[bool]]:
    """By race: whether anything was called wrongly, the outcome of the last one, if its interval holds."""
    sides, seeds, half, means = played(scores, looks)
    gains, called = np.array(family.gains), np.abs(sides) == HIGHER
    untrue = (called & (sides != np.sign(gains))).any(axis=1)
    for race in np.flatnonzero(called.any(axis=1) & ~untrue):
        seen = np.where(np.arange(looks.last) < seeds[race][:, None], scores[race, 1:], np.nan)
        decided = [None, *map(_decision, sides[race], seeds[race])]
        for pair in contender_pairs(np.vstack([scores[race, :1], seen]), looks, decided):
            first, second = pair.configs
            side = {"higher": 1, "lower": -1}.get(pair.side or "", 0)
            untrue[race] |= side != 0 and side != np.sign(gains[first - 1] - gains[second - 1])
    return untrue.tolist(), sides[:, -1], (np.abs(means - gains) <= half)[:, -1].tolist()


def _decision(side: int, seeds: int) -> RaceDecision | None:
    return RaceDecision(SIDES[side], seeds) if side in SIDES else None


def errors(count: int, last: int) -> None:
    print("| contenders | noise | wrong | the last one | its interval | same at the margin |")
    print("|---|---|---|---|---|---|")
    for contenders in (1, 2, 3, 5):
        looks, wide = (looks_of(contenders, min(FIRST, last), last, margin) for margin in (None, MARGIN))
        for row, (name, options) in enumerate(noises(contenders).items()):
            family = RaceFamily("", **{"gains": (0.0,) * contenders, "last": last} | options)
            rng = np.random.default_rng(8000 + 100 * contenders + row)
            untrue, side, held = wrong(family, family.draw_races(rng, count), looks)
            apart = RaceFamily("", **options | {"gains": (*family.gains[:-1], MARGIN), "last": last})
            same = played(apart.draw_races(rng, count), wide)[0][:, -1] == ALIKE
            shares = (untrue, (np.abs(side) == HIGHER).tolist(), held, same.tolist())
            print(f"| {contenders} | {name} | {' | '.join(map(percentage, shares))} |", flush=True)


def power(count: int) -> None:
    print("\n| seeds | gain | noise | present rule | older rule |")
    print("|---|---|---|---|---|")
    for last in (3, 4, 6, 8):
        for gain in (0.010, 0.020):
            for row, name in enumerate(("alike", "correlation 0.8", "one four times as noisy")):
                family = RaceFamily("", (gain, 0.0, 0.0), last=last, **noises(3)[name])
                scores = family.draw_races(np.random.default_rng(9000 + row), count)
                shares = []
                for rule in (True, False):
                    sides = played(scores, looks_of(3, min(FIRST, last), last, None, moderated=rule))[0]
                    shares.append(percentage((sides[:, 0] == HIGHER).tolist()))
                print(f"| {last} | {gain:.3f} | {name} | {' | '.join(shares)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--races", type=int, default=4000, help="of each family")
    parser.add_argument("--seeds", type=int, default=6, help="at most, in the table of errors")
    arguments = parser.parse_args()
    errors(arguments.races, arguments.seeds)
    power(arguments.races)


if __name__ == "__main__":
    main()
