"""What a trial's mean is held against: the medians of the others at its age, and what is still in reach.

`Bars` is fed mean by mean and keeps those of each age sorted, so that a comparison costs a few binary
searches however many trials there are.
"""

import math
from array import array
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from search.pruners.learning_curve import Progress

CATCHING_UP = 0.9
"""Whose distance is below this share of what it was at half the age is catching up."""

KIN = 2
"""How many others of its kind must have come to an age before a trial is ended at it."""

LATE = 0.2
"""From which share of its epochs on a trial may be out of reach of the best."""

FURTHER = 1.5
"""How many times a trial's age others must have come, so that what they gained tells what it may gain."""

SURE = 3.0
"""How far out of reach it must be, in standard deviations of its mean."""

HOPE = 1.1
"""How many times as much as any trial gained so far another may still gain."""

_ENOUGH_JUMPS = 10_000
"""How many third differences measure the noise: to about 2 %; more would only cost."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A mean beside the medians of the others of its age: of all, and of its kind."""

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
class Reach:
    """A mean, the best mean there is, and the most that any trial gained from that age on."""

    value: float
    best: float
    gain: float
    peers: int
    margin: float

    @property
    def bar(self) -> float:
        return self.best - HOPE * self.gain

    @property
    def below(self) -> bool:
        return self.bar - self.value > self.margin


class Bars:
    """The means of all trials by age; higher is better.

    Args:
        fewest: how many others must have come to an age before they make a bar.
        margin: of a comparison with the medians, in standard deviations of the mean.
        smooth: how many scores a mean has, where there are enough.
    """

    def __init__(self, fewest: int, margin: float, smooth: int) -> None:
        self._fewest = fewest
        self._margin = margin
        self._smooth = smooth
        self._means: defaultdict[tuple[int, Hashable], array[float]] = defaultdict(lambda: array("d"))
        self._gains = np.zeros(64)
        self._best = -math.inf
        self._jumps = array("d")

    def take(self, progress: Progress) -> None:
        """Take in a trial's last mean."""
        age, mean = progress.age, progress.means[-1]
        if math.isnan(mean):
            return
        for kind in {None, progress.curve.kind}:
            insort(self._means[age, kind], mean)
        if progress.counts[-1] >= self._smooth:
            self._best = max(self._best, mean)
        if age > len(self._gains):
            self._gains = np.concatenate([self._gains, np.zeros(age)])
        gains = self._gains[:age]
        np.fmax(gains, mean - np.frombuffer(progress.means), out=gains)

    def measure_noise(self, recent: Sequence[float]) -> None:
        """Take in the last of `recent` scores."""
        if len(recent) >= 4 and len(self._jumps) < _ENOUGH_JUMPS:
            jump = abs(recent[-1] - 3 * recent[-2] + 3 * recent[-3] - recent[-4])
            if not math.isnan(jump):
                insort(self._jumps, jump)

    def noise(self) -> float:
        """Standard deviation of one score about its curve; 0 until ten figures say something.

        From third differences, in which a smooth curve leaves next to nothing, even where it is steep;
        by their median, which a collapse does not move.
        """
        if len(self._jumps) < 10:
            return 0.0
        # Half of a normal distribution is within 0.6745 standard deviations, and the third difference
        # of independent scores has 1 + 9 + 9 + 1 times their variance.
        return self._jumps[len(self._jumps) // 2] / 0.6745 / math.sqrt(20)

    def compare(self, progress: Progress, age: int) -> Comparison | None:
        """None where the trial has no mean at that age, or too few others have one."""
        value = progress.means[age - 1] if age >= 1 else math.nan
        if math.isnan(value):
            return None
        median, peers = _median_of_others(self._means[age, None], value)
        median_of_kind, peers_of_kind = _median_of_others(self._means[age, progress.curve.kind], value)
        if peers < self._fewest or peers_of_kind < KIN:
            return None
        margin = self._margin * self.noise() / math.sqrt(progress.counts[age - 1])
        return Comparison(value, median, peers, median_of_kind, peers_of_kind, margin)

    def catches_up(self, progress: Progress, now: Comparison) -> bool:
        """Whether a trial that is behind has made good some of what it lacked at half its age."""
        then = self.compare(progress, (progress.age + 1) // 2)
        return then is not None and now.behind < CATCHING_UP * then.behind

    def reach(self, progress: Progress, age: int) -> Reach | None:
        """None early on, and where too few have come much further than that age."""
        curve = progress.curve
        if curve.horizon is None or age < 1 or age + curve.warmup < LATE * curve.horizon:
            return None
        value = progress.means[age - 1]
        further = min(math.ceil(FURTHER * age), curve.horizon - curve.warmup)
        peers = len(self._means[further, None])
        if math.isnan(value) or peers < self._fewest:
            return None
        margin = SURE * self.noise() / math.sqrt(progress.counts[age - 1])
        return Reach(value, self._best, float(self._gains[age - 1]), peers, margin)


def _median_of_others(values: Sequence[float], own: float) -> tuple[float, int]:
    """Median of ascending `values` without one of them, `own`, and how many are left; NaN of none."""
    left = len(values) - 1
    if left < 1:
        return math.nan, 0
    index = bisect_left(values, own)
    lower, upper = (left - 1) // 2, left // 2
    return (values[lower + (lower >= index)] + values[upper + (upper >= index)]) / 2, left
