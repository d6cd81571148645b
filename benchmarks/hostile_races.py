"""How often is a race of `search confirm` wrong where contenders differ in noise, and what does it find?

    nice -n 10 python benchmarks/hostile_races.py --races 2000

Contenders have a variance in common (`search/analysis/looks.py`), which is wrong where one varies more than
the others, and says less than it seems to where they are alike. Scores come from `simulation/races.py`,
which knows nothing of the tested code. In percent, with 95 % intervals (Wilson 1927).

The first table is about errors. `wrong`: races in which anything was called better or worse that was not
so; `the last one`: those in which the last contender was called so, which equals the baseline in all
families and is the noisy one where one is; `its interval`: intervals of its difference that hold the truth;
`same at the margin`: races in which it was called the same, where it was better by just the margin. The
other columns are of races without a margin.

The second table is about power: races in which the one contender of three that is better was called better,
by the present rule and by that of older versions, where each contender has only its own variance. There is
no margin, and no contender is given up as futile.
"""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from confirm_calibration import FIRST, outcomes, seen_and_decided
from numpy.typing import NDArray
from scipy.special import stdtrit
from simulation.percentages import percentage
from simulation.races import RaceFamily

from search.analysis.looks import ALIKE, HIGHER, Floats, Looks, geometric_mean, moderated
from search.analysis.paired_race import contender_pairs, looks_of
from search.analysis.paired_seeds import RACED

CHUNK = 500  # races at once
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


def wrong(family: RaceFamily, scores: Floats, looks: Looks) -> tuple[list[bool], list[bool], list[bool]]:
    """By race: whether anything was called wrongly, the last one was called, and its interval holds."""
    sides, seeds = outcomes(scores, looks)
    gains, called = np.array(family.gains), np.abs(sides) == HIGHER
    untrue = (called & (sides != np.sign(gains))).any(axis=1)
    freed = called.any(axis=1) & ~untrue
    played = seen_and_decided(scores[freed], sides[freed], seeds[freed])
    for race, (seen, decided) in zip(np.flatnonzero(freed), played, strict=True):
        for pair in contender_pairs(seen, looks, decided):
            first, second = pair.configs
            side = {"higher": 1, "lower": -1}.get(pair.side or "", 0)
            untrue[race] |= side != 0 and side != np.sign(gains[first - 1] - gains[second - 1])
    return untrue.tolist(), called[:, -1].tolist(), _held(scores, seeds, gains)[:, -1].tolist()


def _held(scores: Floats, seeds: NDArray[np.int64], gains: Floats) -> NDArray[np.bool_]:
    """Whether the intervals hold the gains, (races, contenders)."""
    trained = np.arange(scores.shape[-1]) < seeds[..., None]
    differences = np.where(trained, scores[:, 1:] - scores[:, :1], np.nan)
    own = np.nanvar(differences, axis=-1, ddof=1)
    common = geometric_mean(own, seeds - 1) if len(gains) > 1 else None
    variance, freedom = moderated(own, seeds - 1, common)
    half = stdtrit(freedom, (1 + RACED) / 2) * np.sqrt(variance / seeds)
    return np.abs(np.nanmean(differences, axis=-1) - gains) <= half


def errors(count: int, last: int) -> None:
    print("| contenders | noise | wrong | the last one | its interval | same at the margin |")
    print("|---|---|---|---|---|---|")
    for contenders in (1, 2, 3, 5):
        looks, wide = (looks_of(contenders, FIRST, last, margin) for margin in (None, MARGIN))
        for row, (name, options) in enumerate(noises(contenders).items()):
            family = RaceFamily("", **{"gains": (0.0,) * contenders, "last": last} | options)
            apart = RaceFamily("", **options | {"gains": (*family.gains[:-1], MARGIN), "last": last})
            rng = np.random.default_rng(8000 + 100 * contenders + row)
            found: list[list[bool]] = [[], [], [], []]
            for scores in chunks(family, rng, count):
                same = outcomes(apart.draw_races(rng, len(scores)), wide)[0][:, -1] == ALIKE
                for column, each in zip(found, (*wrong(family, scores, looks), same), strict=True):
                    column.extend(each)
            print(f"| {contenders} | {name} | {' | '.join(map(percentage, found))} |", flush=True)


def chunks(family: RaceFamily, rng: np.random.Generator, count: int) -> Iterator[Floats]:
    """Scores of so many races, (races, configs, seeds) each."""
    for begin in range(0, count, CHUNK):
        yield family.draw_races(rng, min(CHUNK, count - begin))


def power(count: int) -> None:
    print("\n| seeds | gain | noise | present rule | older rule |")
    print("|---|---|---|---|---|")
    for last in (3, 4, 6, 8):
        for gain in (0.010, 0.020):
            for row, name in enumerate(("alike", "correlation 0.8", "one four times as noisy")):
                family = RaceFamily("", (gain, 0.0, 0.0), last=last, **noises(3)[name])
                looks = [looks_of(3, FIRST, last, None, moderated=rule) for rule in (True, False)]
                found: list[list[bool]] = [[], []]
                for scores in chunks(family, np.random.default_rng(9000 + row), count):
                    for column, each in zip(found, looks, strict=True):
                        column.extend(outcomes(scores, each, futile=0)[0][:, 0] == HIGHER)
                print(
                    f"| {last} | {gain:.3f} | {name} | {' | '.join(map(percentage, found))} |", flush=True
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--races", type=int, default=2000, help="of each family")
    parser.add_argument("--seeds", type=int, default=6, help="at most, in the table of errors")
    arguments = parser.parse_args()
    errors(arguments.races, arguments.seeds)
    power(arguments.races)


if __name__ == "__main__":
    main()
