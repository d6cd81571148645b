"""Scores by class before and after: which classes are higher, and which lower.

Both runs are read over the epochs of their best mean, which made their value. How much a class varies from
epoch to epoch is estimated from the differences of neighbouring epochs around there (von Neumann 1941: a
slow trend cancels). A class has changed if its difference is beyond that noise at 5 % for all classes
together (Bonferroni). This is about these two runs; what another seed would change is not included.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

from scipy.special import stdtrit

from search.analysis.training import Peak, mean_over
from search.recorded_run import RecordedRun

AROUND = 10
"""Epochs on each side of the best mean from which the noise is estimated, too."""

FEWEST_STEPS = 5
"""Differences of neighbouring epochs that an estimate of noise needs."""

LEVEL = 0.05

Verdict = Literal["higher", "lower", ""]


@dataclass(frozen=True, slots=True)
class ClassChange:
    """One class.

    Attributes:
        before, after: mean score over the epochs of the best mean. difference: after less before.
        error: standard error of the difference, by the noise of epochs; None if there are too few.
        verdict: whether it is higher or lower beyond that noise.
    """

    name: str
    before: float
    after: float
    difference: float
    error: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _ClassMean:
    """A class in one run: its mean, the standard error of that, and the number of steps behind it."""

    mean: float
    error: float | None
    steps: int


def class_changes(
    before: tuple[RecordedRun, Peak], after: tuple[RecordedRun, Peak], names: Sequence[str]
) -> list[ClassChange]:
    """Every class that both runs scored, the one that lost most first; empty if not recorded.

    Args:
        names: of the classes, in the order of the column; numbers stand in for missing ones.
    """
    columns = [_by_class(run) for run, _ in (before, after)]
    count = min(map(len, columns))
    rows = []
    for index in range(count):
        sides = [_class_mean(columns[side][index], peak) for side, (_, peak) in enumerate((before, after))]
        old, new = sides
        if old is None or new is None:
            continue
        difference, error = new.mean - old.mean, None
        verdict: Verdict = ""
        if old.error is not None and new.error is not None:
            error = math.hypot(old.error, new.error)
            if abs(difference) > _quantile(count, old.steps + new.steps) * error:
                verdict = "higher" if difference > 0 else "lower"
        name = names[index] if index < len(names) else f"class {index}"
        rows.append(ClassChange(name, old.mean, new.mean, difference, error, verdict))
    return sorted(rows, key=lambda row: row.difference)


def _quantile(tests: int, steps: int) -> float:
    """Student's t for one of so many two-sided tests; steps overlap, so two thirds of them count."""
    return float(stdtrit(2 / 3 * steps, 1 - LEVEL / 2 / tests))


def _by_class(run: RecordedRun) -> list[list[float | None]]:
    """Scores by class and epoch."""
    epochs = run.class_scores
    lists = [each for each in epochs if isinstance(each, list)]
    if not lists or len(lists) < len(epochs):
        return []
    count = min(map(len, lists))
    return [[each[index] for each in lists] for index in range(count)]


def _class_mean(scores: list[float | None], peak: Peak) -> _ClassMean | None:
    """Over the epochs of the best mean; None if the class has no score there."""
    mean = mean_over(scores, peak.first, peak.last)
    if mean is None:
        return None
    near = scores[max(0, peak.first - 1 - AROUND) : peak.last + AROUND]
    steps = [(b - a) ** 2 for a, b in pairwise(near) if a is not None and b is not None]
    if len(steps) < FEWEST_STEPS:
        return _ClassMean(mean, None, len(steps))
    return _ClassMean(mean, math.sqrt(fmean(steps) / 2 / (peak.last - peak.first + 1)), len(steps))
