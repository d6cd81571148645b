"""Learning curves as the median rule compares them: smoothed, and by age.

A trial's age is the number of epochs since the end of its delay (`CurveShape.delay`). A warm-up of ten
epochs delays a curve by ten and says nothing about where it ends.
"""

import math
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from search.objective import CurveShape


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve(CurveShape):
    """One trial's learning curve, and what is needed to read it.

    Attributes:
        number: of the trial.
        scores: raw, by epoch from 1; NaN or infinite where one is missing.
    """

    number: int
    scores: Sequence[float] = ()

    @classmethod
    def of(cls, number: int, shape: CurveShape) -> "Curve":
        """The curve of a trial that has no scores yet."""
        return cls(
            number=number,
            delay=shape.delay,
            horizon=shape.horizon,
            restarts=shape.restarts,
            kind=shape.kind,
        )


class SmoothedCurve:
    """A curve, smoothed score by score as it comes in.

    Attributes:
        epoch: the last epoch read.
        may_end_from: the first epoch of this cycle after which the trial may be ended.
        recent: the last few scores of this cycle.
        means: the smoothed score by age from 1; NaN where all scores of its window are missing.
        counts: how many scores each mean is over.
        best: the best mean over as many scores as a full one has; minus infinity before there is one.
    """

    def __init__(self, curve: Curve, smooth: int, grace: int) -> None:
        self.curve = curve
        self.epoch = 0
        self.recent: deque[float] = deque(maxlen=max(smooth, 4))  # 4: the noise needs third differences
        self.means = array("d")
        self.counts = array("l")
        self.best = -math.inf
        self._smooth = smooth
        self._grace = grace
        self._restarts = iter(curve.restarts)
        self._before_restart = math.nan
        self._begin_cycle(curve.delay)

    @property
    def age(self) -> int:
        return len(self.means)

    def advance(self, score: float) -> None:
        """Append the next score; NaN where it is missing."""
        self.epoch += 1
        if self.epoch == self._next_restart:
            if self.means and not math.isnan(self.means[-1]):
                self._before_restart = self.means[-1]
            self._begin_cycle(self.epoch - 1)
        if self.epoch > self.curve.delay:
            self.recent.append(score)
            mean, count = self._mean()
            self.means.append(mean)
            self.counts.append(count)
            if count >= self._smooth:
                self.best = max(self.best, mean)

    def _begin_cycle(self, epochs_before: int) -> None:
        self.recent.clear()
        self._next_restart = next(self._restarts, math.inf)
        # A cycle shorter than the grace would never be judged; its last epoch is.
        self.may_end_from = min(epochs_before + self._grace, self._next_restart - 1)

    def _mean(self) -> tuple[float, int]:
        smooth, recent = self._smooth, self.recent
        window = recent if len(recent) <= smooth else list(recent)[-smooth:]
        mean, count = math.fsum(window) / len(window), len(window)
        if math.isnan(mean):
            present = [score for score in window if not math.isnan(score)]
            mean, count = math.fsum(present) / len(present) if present else math.nan, len(present)
        # A restart sets a curve back for most of a cycle. Until it has recovered, the trial counts with
        # the mean it had before: that much of its final value is certain.
        before = self._before_restart
        if not math.isnan(before) and (len(recent) < smooth or not mean > before):
            return before, smooth
        return mean, count
