"""Scores by class before and after: which classes are higher, and which lower.

Both runs are read over the epochs of their best mean, which made their value. How much the mean of a class
over these epochs varies is estimated as in `search.analysis.noise`: AR(1) noise around a smooth trend,
since neighbouring epochs are correlated. A class has changed if its difference is beyond that noise at 5 %
for all classes together (Bonferroni), by Student's t with the degrees of freedom of the shorter run.
`benchmarks/class_calibration.py` checks it. This is about these two runs; what another seed would change is
not included.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtrit

from search.analysis.noise import mean_error
from search.analysis.training import Peak
from search.recorded_run import RecordedRun
from search.scoring import mean_of

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
    """A class in one run: its mean, and the standard error of that with its degrees of freedom."""

    mean: float
    noise: tuple[float, int] | None


def class_changes(
    before: tuple[RecordedRun, Peak], after: tuple[RecordedRun, Peak], names: Sequence[str]
) -> list[ClassChange]:
    """Every class that both runs scored, the one that lost most first; empty if not recorded.

    Args:
        names: of the classes, in the order of the column; numbers stand in for missing ones.
    """
    sides = [(_by_class(run), peak) for run, peak in (before, after)]
    count = min(len(classes) for classes, _ in sides)
    rows = []
    for index in range(count):
        old, new = (_class_mean(classes[index], peak) for classes, peak in sides)
        if old is None or new is None:
            continue
        difference, error = new.mean - old.mean, None
        verdict: Verdict = ""
        if old.noise is not None and new.noise is not None:
            error = math.hypot(old.noise[0], new.noise[0])
            freedom = min(old.noise[1], new.noise[1])
            if abs(difference) > float(stdtrit(freedom, 1 - LEVEL / 2 / count)) * error:
                verdict = "higher" if difference > 0 else "lower"
        name = names[index] if index < len(names) else f"class {index}"
        rows.append(ClassChange(name, old.mean, new.mean, difference, error, verdict))
    return sorted(rows, key=lambda row: row.difference)


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
    mean = mean_of(scores[peak.first - 1 : peak.last])
    if mean is None:
        return None
    known = [score for score in scores if score is not None]
    return _ClassMean(mean, mean_error(known, min(peak.last - peak.first + 1, len(known)), "maximize"))
