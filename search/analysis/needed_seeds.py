"""How many seeds a race needs for a stated smallest gain, given how much repeats vary. Pure NumPy.

The gain is stated beforehand: what matters to whoever asks. A gain that was observed is a lucky one, and
seeds planned from it are too few.

The noise of one difference comes from configs that were trained with several seeds. Where two configs had
the same seeds, from their paired differences, with one degree of freedom less than seeds for each config
beside the first; else from one config's spread, times the square root of 2, which is too much where seeds
do the same to both. The interval of the noise is that of a variance (chi-squared).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search.analysis.interval import LEVEL
from search.analysis.looks import Floats
from search.analysis.paired_race import PairedScores, looks_of
from search.analysis.racing import REFERENCE

POWER = 0.8
MOST = 30  # what --seeds allows


@dataclass(frozen=True, slots=True)
class DifferenceNoise:
    """Standard deviation of one difference between two configs on the same seed.

    Attributes:
        low, high: its 95 % interval. freedom: degrees of freedom that it rests on.
    """

    value: float
    low: float
    high: float
    freedom: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedPlan:
    """What a race needs.

    Attributes:
        gain: the smallest gain that is to be found in `POWER` of races that have it.
        contenders: how many are compared with the baseline. seeds: of each config; None: more than `MOST`.
        low, high: the same with the ends of the noise's interval.
        default: the chance to find the gain with `default_seeds`.
        sources: the studies whose trainings the noise comes from.
    """

    gain: float
    contenders: int
    noise: DifferenceNoise
    seeds: int | None
    low: int | None
    high: int | None
    default_seeds: int
    default: float
    sources: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """The object of `search confirm --plan --json`."""
        return {
            "smallest_gain": self.gain,
            "contenders": self.contenders,
            "power": POWER,
            "noise": asdict(self.noise),
            "seeds": {"needed": self.seeds, "low": self.low, "high": self.high, "most": MOST},
            "trainings": self.trainings,
            "with_seeds": {"seeds": self.default_seeds, "power": self.default},
            "sources": list(self.sources),
        }

    @property
    def trainings(self) -> int | None:
        """At most, over all configs."""
        return None if self.seeds is None else self.seeds * (self.contenders + 1)


def seed_plan(
    gain: float, contenders: int, first: int, noise: DifferenceNoise, default: int, sources: Sequence[str]
) -> SeedPlan:
    """The plan for a race with that many contenders, whose first look comes after `first` seeds."""
    needed = [_needed(gain / each, contenders, first) for each in (noise.low, noise.value, noise.high)]
    return SeedPlan(
        gain=gain,
        contenders=contenders,
        noise=noise,
        low=needed[0],
        seeds=needed[1],
        high=needed[2],
        default_seeds=default,
        default=_power(gain / noise.value, contenders, min(first, default), default),
        sources=sources,
    )


def noise_of(repeats: Sequence[Floats]) -> DifferenceNoise | None:
    """The noise of one difference in these scores, each (configs, seeds); None where nothing repeats.

    Args:
        repeats: NaN where there is none; configs of one array had the same seeds.
    """
    from scipy.special import chdtri  # not needed by a worker

    parts = [part for scores in repeats for part in _squares(scores)]
    freedom = sum(count for _, count in parts)
    squares = math.fsum(square for square, _ in parts)
    if not freedom or squares <= 0:
        return None
    low, high = (float(chdtri(freedom, share)) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return DifferenceNoise(
        math.sqrt(squares / freedom), math.sqrt(squares / low), math.sqrt(squares / high), freedom
    )


def _squares(scores: Floats) -> list[tuple[float, int]]:
    """Sums of squares of one difference and their degrees of freedom."""
    configs = [config for config, row in enumerate(scores) if np.isfinite(row).sum() > 1]
    if len(configs) == 1:
        row = scores[configs[0]]
        values = row[np.isfinite(row)]
        return [(2 * float(((values - values.mean()) ** 2).sum()), len(values) - 1)]
    found = []
    for config in configs[1:]:
        values = PairedScores(scores).differences(config, configs[REFERENCE])
        if len(values) > 1:
            found.append((float(((values - values.mean()) ** 2).sum()), len(values) - 1))
    return found


def _needed(gain: float, contenders: int, first: int) -> int | None:
    """The fewest seeds that find `gain`, in units of the noise; more seeds find no less."""
    counts = range(first, MOST + 1)
    found = bisect_left(counts, POWER, key=lambda last: _power(gain, contenders, first, last))
    return counts[found] if found < len(counts) else None


def _power(gain: float, contenders: int, first: int, last: int) -> float:
    return float(looks_of(contenders, first, last, None).power(np.array([gain]))[0])
