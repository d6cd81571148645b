"""The race of `search confirm`: what its looks have decided. Pure: scores in, decisions out.

Every contender is compared with the baseline by its differences on the same seeds
(`search.analysis.looks`). A contender that has been called better or worse no longer needs its part of the
race's error rate. That part passes to its comparisons with the other contenders, in equal shares (the
graphical procedure of Bretz et al. 2009), so that all calls of a race together keep to 5 %. These compare
two contenders by the variance of their own differences alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from search.analysis.interval import LEVEL
from search.analysis.looks import ALIKE, FUTILE, HIGHER, OPEN, RACE, Looks, figures, geometric_mean
from search.analysis.paired_seeds import RACED, Estimate, Floats, estimate
from search.analysis.racing import REFERENCE, Decisions, RaceDecision, Side

SIDES: dict[int, Side] = {HIGHER: "higher", ALIKE: "same", -HIGHER: "lower"}


@dataclass(frozen=True, slots=True)
class PairedScores:
    """Scores by config and seed, (configs, seeds), NaN where there is none. Noise may differ by config.

    `overlap` is that of `search.analysis.looks.Looks`. `moderated`: whether the differences from the
    baseline have a variance in common.
    """

    scores: Floats
    overlap: float = 0.0
    moderated: bool = False

    def differences(self, config: int, other: int) -> Floats:
        """`config` less `other` on each seed that both have, in the order of the seeds."""
        both = self.scores[config] - self.scores[other]
        return np.asarray(both[np.isfinite(both)])

    def difference(self, config: int, other: int) -> Estimate | None:
        """The mean of `differences` with its t interval; None for fewer than two."""
        common = self.common_variance() if other == REFERENCE else None
        return self._mean(self.differences(config, other), RACED, common)

    def common_variance(self) -> float | None:
        """Of the differences from the baseline: the geometric mean, by degrees of freedom.

        None where each has only its own: it is not moderated, or fewer than two contenders have one.
        """
        rows = [self.differences(config, REFERENCE) for config in range(1, len(self.scores))]
        rows = [row for row in rows if len(row) > 1]
        if not self.moderated or len(rows) < 2:
            return None
        variances = np.array([row.var(ddof=1) for row in rows])
        return float(geometric_mean(variances, [len(row) - 1 for row in rows])[0])

    def mean(self, config: int) -> Estimate | None:
        """The mean of one config over its seeds, from its own spread; None for fewer than two."""
        return self._mean(self.scores[config, np.isfinite(self.scores[config])], LEVEL)

    @property
    def noise(self) -> float | None:
        """Standard deviation of one score over seeds, root mean square over configs; None if not known."""
        rows = [row[np.isfinite(row)] for row in self.scores]
        freedom = sum(len(row) - 1 for row in rows if len(row))
        squares = math.fsum(float(((row - row.mean()) ** 2).sum()) for row in rows if len(row))
        return math.sqrt(squares / freedom) if freedom > 0 else None

    def _mean(self, values: Floats, level: float, common: float | None = None) -> Estimate | None:
        if len(values) < 2:
            return None
        mean, error, freedom = figures(values, self.overlap, common)
        return estimate(float(mean), float(error), freedom, level)


@dataclass(frozen=True, slots=True)
class ContenderPair:
    """Two contenders on the same seeds.

    Attributes:
        configs: their indices. difference: the first less the second.
        side: of the first, once it is decided; None if it is not.
    """

    configs: tuple[int, int]
    difference: Estimate
    side: Side | None


def looks_of(
    contenders: int,
    first: int,
    last: int,
    margin: float | None,
    overlap: float = 0.0,
    *,
    moderated: bool = True,
) -> Looks:
    """The tests of each of the contenders against the baseline.

    Args:
        moderated: whether they have a variance in common; not in races of older versions.
    """
    return Looks(first, last, RACE / contenders, margin, overlap, contenders if moderated else 1)


def decisions(scores: Floats, looks: Looks) -> Decisions:
    """The decision on each config, made at the first look that allowed one; None if none did.

    Args:
        scores: (configs, seeds), NaN where there is none; of finished rounds only.
    """
    made: Decisions = [None] * len(scores)
    for seen in range(looks.first, scores.shape[1] + 1):
        paired = PairedScores(scores[:, :seen], looks.overlap, looks.contenders > 1)
        common = paired.common_variance()
        for config in range(1, len(scores)):
            differences = paired.differences(config, REFERENCE)
            if made[config] is not None or len(differences) < 2:
                continue
            outcome = _outcome(differences, looks, seen, common)
            if outcome != OPEN:
                made[config] = RaceDecision(SIDES[outcome], seen)
            elif seen < looks.last and looks.settles(differences, common) < FUTILE:
                made[config] = RaceDecision("futile", seen)
    return made


def contender_pairs(
    scores: Floats, looks: Looks, decided: Sequence[RaceDecision | None]
) -> list[ContenderPair]:
    """Every two contenders that share two seeds or more."""
    configs, paired = range(1, len(scores)), PairedScores(scores, looks.overlap)
    found = []
    for pair in combinations(configs, 2):
        called = [each for each in pair if (made := decided[each]) and made.side in ("higher", "lower")]
        part = looks.level * len(called) / (len(configs) - 1)  # 0: nothing can be called
        tests = replace(looks, level=part, contenders=1)
        difference = paired.difference(*pair)
        if difference is None:
            continue
        outcome, shared = OPEN, paired.differences(*pair)
        for seen in range(looks.first, len(shared) + 1):
            outcome = outcome or _outcome(shared[:seen], tests, seen)
        found.append(ContenderPair((pair[0], pair[1]), difference, SIDES.get(outcome)))
    return found


def _outcome(differences: Floats, looks: Looks, seen: int, common: float | None = None) -> int:
    return int(looks.outcomes(*figures(differences, looks.overlap, common), seen))
