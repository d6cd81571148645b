"""A learning curve read score by score, as pruning compares it: smoothed, and by its age.

A trial's age are the epochs since the end of its own warm-up: a warm-up of ten epochs delays a curve by
ten and says nothing about where it ends.
"""

import math
from array import array
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One trial's scores, and what they have to be read with.

    Attributes:
        scores: raw, by epoch from 1; NaN or infinite where one is missing.
        warmup: epochs of warm-up, which are not compared.
        horizon: how many epochs the trial has; None where that is not known.
        restarts: the first epoch of the second, third, ... cycle, ascending; may be endless.
        kind: which curves it is comparable with half-way; None: with all.
    """

    number: int
    scores: Sequence[float] = ()
    warmup: int = 0
    horizon: int | None = None
    restarts: Iterable[int] = ()
    kind: Hashable = None


def restarts(warmup: int, epochs: int, factor: int) -> Iterator[int]:
    """First epochs of the second, third, ... cycle, endless; the first cycle lasts `epochs`."""
    first = warmup + 1
    while True:
        first += epochs
        epochs *= factor
        yield first


class Progress:
    """A curve as far as it was read.

    Attributes:
        epoch: the last one read.
        may_end_from: the epoch from which the trial may be ended, in this cycle.
        recent: scores of this cycle, the last few.
        means: by age from 1; NaN where all scores of one are missing.
        counts: how many scores are in each of them.
    """

    def __init__(self, curve: Curve, smooth: int, grace: int) -> None:
        self.curve = curve
        self.epoch = 0
        self.recent: deque[float] = deque(maxlen=max(smooth, 4))
        self.means = array("d")
        self.counts = array("l")
        self._smooth = smooth
        self._grace = grace
        self._restarts = iter(curve.restarts)
        self._before_restart = math.nan
        self._begin_cycle(curve.warmup)

    @property
    def age(self) -> int:
        return len(self.means)

    def advance(self, score: float) -> None:
        """Take in the next score; NaN where it is missing."""
        self.epoch += 1
        if self.epoch == self._next_restart:
            if self.means and not math.isnan(self.means[-1]):
                self._before_restart = self.means[-1]
            self._begin_cycle(self.epoch - 1)
        if self.epoch > self.curve.warmup:
            self.recent.append(score)
            mean, count = self._mean()
            self.means.append(mean)
            self.counts.append(count)

    def _begin_cycle(self, epochs_before: int) -> None:
        self.recent.clear()
        self._next_restart = next(self._restarts, math.inf)
        self.may_end_from = min(epochs_before + self._grace, self._next_restart - 1)

    def _mean(self) -> tuple[float, int]:
        smooth, recent = self._smooth, self.recent
        window = recent if len(recent) <= smooth else list(recent)[-smooth:]
        mean, count = math.fsum(window) / len(window), len(window)
        if math.isnan(mean):
            present = [score for score in window if not math.isnan(score)]
            mean, count = math.fsum(present) / len(present) if present else math.nan, len(present)
        # A restart throws a curve back for most of a cycle. Until it has caught up, the trial is worth
        # what it had before: that much of its final value is certain.
        before = self._before_restart
        if not math.isnan(before) and (len(recent) < smooth or not mean > before):
            return before, smooth
        return mean, count
