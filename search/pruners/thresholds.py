"""The thresholds a trial must reach: the medians of other trials at its age, and the best one so far.

`Thresholds` is fed mean by mean and keeps those of each age sorted, so that a comparison costs a few binary
searches however many trials there are.
"""

import math
from array import array
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from search.pruners.learning_curve import SmoothedCurve

Floats = NDArray[np.float64]

CATCHING_UP = 0.9
"""A trial is catching up when it is behind by less than this share of what it was at half its age."""

PEERS_OF_KIND = 2
"""How many others of its kind must have reached an age before a trial is ended at it."""

REACH_CHANCE = 0.005
"""A trial whose chance of reaching the best is below this may be ended."""

WHOLE_TRIALS = 8
"""How many trials must have run to their end before it is predicted what another may still gain."""

_ENOUGH_DIFFERENCES = 10_000
"""Third differences that the noise is measured from: right to about 2 %, and more would only cost time."""


@dataclass(frozen=True, slots=True)
class PeerComparison:
    """A trial's mean beside the medians of the others at its age: of all, and of its kind."""

    value: float
    median: float
    peers: int
    median_of_kind: float
    peers_of_kind: int
    margin: float

    @property
    def bar(self) -> float:
        return min(self.median, self.median_of_kind)

    @property
    def behind(self) -> float:
        return self.bar - self.value

    @property
    def below(self) -> bool:
        return self.behind > self.margin


@dataclass(frozen=True, slots=True)
class ReachComparison:
    """A trial's mean beside the best of all, and what whole trials gained from that age to their best mean.

    Attributes:
        gain: the mean gain. margin: how much more it may be, with all but `REACH_CHANCE` of certainty.
        peers: the number of whole trials.
    """

    value: float
    best: float
    gain: float
    peers: int
    margin: float

    @property
    def bar(self) -> float:
        return self.best - self.gain

    @property
    def below(self) -> bool:
        return self.bar - self.value > self.margin


class Thresholds:
    """The means of all trials by age; higher is better.

    Args:
        min_peers: how many others must have reached an age before a trial is compared at it.
        margin: of a comparison with the medians, in standard deviations of the mean.
        smooth: how many scores a full mean has.
    """

    def __init__(self, min_peers: int, margin: float, smooth: int) -> None:
        self._min_peers = min_peers
        self._margin = margin
        self._smooth = smooth
        self._means: defaultdict[tuple[int, Hashable], array[float]] = defaultdict(lambda: array("d"))
        self._gains = np.zeros((3, 0))  # of whole trials, by age - 1: number, sum, sum of squares
        self._best = -math.inf
        self._differences = array("d")  # third differences of scores, sorted

    def add_last_mean(self, curve: SmoothedCurve) -> None:
        age, mean = curve.age, curve.means[-1]
        if math.isnan(mean):
            return
        for kind in {None, curve.curve.kind}:
            insort(self._means[age, kind], mean)
        self._best = max(self._best, curve.best)
        if curve.epoch == curve.curve.horizon:
            self._add_gains(curve.best - np.frombuffer(curve.means))

    def _add_gains(self, gains: Floats) -> None:
        """Take in what a whole trial gained from each age to its best mean; NaN where it had no mean."""
        if (missing := len(gains) - self._gains.shape[1]) > 0:
            self._gains = np.pad(self._gains, ((0, 0), (0, missing)))
        known = np.isfinite(gains)
        counted = np.where(known, gains, 0.0)
        self._gains[:, : len(gains)] += np.stack([known, counted, counted**2])

    def has_best(self, curve: SmoothedCurve) -> bool:
        """Whether no trial has a better mean than the best of this one."""
        return -math.inf < curve.best >= self._best

    def measure_noise(self, recent: Sequence[float]) -> None:
        """Take in the last of the `recent` scores of a trial."""
        if len(recent) >= 4 and len(self._differences) < _ENOUGH_DIFFERENCES:
            difference = abs(recent[-1] - 3 * recent[-2] + 3 * recent[-3] - recent[-4])
            if not math.isnan(difference):
                insort(self._differences, difference)

    def noise(self) -> float:
        """Standard deviation of one score about its curve; 0 until ten third differences are known.

        A smooth curve leaves next to nothing in third differences, even where it is steep, and their
        median is not moved by a trial that collapses.
        """
        if len(self._differences) < 10:
            return 0.0
        # Half of a normal distribution is within 0.6745 standard deviations, and the third difference
        # of independent scores has 1 + 9 + 9 + 1 times their variance.
        return self._differences[len(self._differences) // 2] / 0.6745 / math.sqrt(20)

    def compare_with_peers(self, curve: SmoothedCurve, age: int) -> PeerComparison | None:
        """None where the trial has no mean at that age, or too few others have one."""
        value = curve.means[age - 1] if age >= 1 else math.nan
        if math.isnan(value):
            return None
        median, peers = _median_of_others(self._means[age, None], value)
        median_of_kind, peers_of_kind = _median_of_others(self._means[age, curve.curve.kind], value)
        if peers < self._min_peers or peers_of_kind < PEERS_OF_KIND:
            return None
        margin = self._margin * self.noise() / math.sqrt(curve.counts[age - 1])
        return PeerComparison(value, median, peers, median_of_kind, peers_of_kind, margin)

    def is_catching_up(self, curve: SmoothedCurve, now: PeerComparison) -> bool:
        """Whether a trial is less far behind than it was at half its age."""
        then = self.compare_with_peers(curve, (curve.age + 1) // 2)
        return then is not None and now.behind < CATCHING_UP * then.behind

    def compare_with_best(self, curve: SmoothedCurve, age: int) -> ReachComparison | None:
        """None for the trial that has the best mean itself, and before enough trials ran to their end.

        The margin is that of a normal distribution's next value, known from `peers` others (Student's t):
        the more they differ and the fewer they are, the larger.
        """
        if not 1 <= age <= self._gains.shape[1] or self.has_best(curve):
            return None
        value = curve.means[age - 1]
        count, total, squares = self._gains[:, age - 1].tolist()
        if math.isnan(value) or count < WHOLE_TRIALS:
            return None
        variance = max(0.0, squares - total**2 / count) / (count - 1)
        margin = _quantile(int(count) - 1) * math.sqrt(variance * (1 + 1 / count))
        return ReachComparison(value, self._best, total / count, int(count), margin)


@cache
def _quantile(degrees: int) -> float:
    """Above it is `REACH_CHANCE` of Student's t distribution."""
    from scipy.special import stdtrit  # slow to import; a study's first trials do not need it

    return float(stdtrit(degrees, 1 - REACH_CHANCE))


def _median_of_others(values: Sequence[float], own: float) -> tuple[float, int]:
    """Median of ascending `values` without one of them, `own`, and how many are left; NaN of none."""
    left = len(values) - 1
    if left < 1:
        return math.nan, 0
    index = bisect_left(values, own)
    lower, upper = (left - 1) // 2, left // 2
    return (values[lower + (lower >= index)] + values[upper + (upper >= index)]) / 2, left
