"""What was read of a labelled test split, as plain values: scores by image, their intervals, the count.

An interval is Student's t over the test images (Student 1908), for a difference over the differences on
the same image, which is the paired t test:

    mean -+ t(n - 1, 0.975) * s / sqrt(n)

It says what other images of the same kind would give these weights. What another seed would give is not in
it; `search confirm` is about that. And it holds for a number that nobody has picked among several, which is
why reads are counted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over images and its 95 % interval; there is none for a single image."""

    value: float
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What one trial's weights score on the test split.

    Attributes:
        weights: SHA-256 of their file.
        scores: of each image, in an order that all trials have.
        per_class: by class, the mean over the images that hold it, and how many do.
        read: the number of the read that scored it. device: what it was scored on, `cpu`, `GPU 0`.
    """

    trial: int
    weights: str
    scores: Sequence[float]
    per_class: Mapping[str, tuple[float, int]]
    read: int
    device: str

    @property
    def mean(self) -> Estimate:
        return estimate(self.scores)

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.trial,
            **self.mean.to_json(),
            "weights": self.weights,
            "per_class": {name: mean for name, (mean, _) in self.per_class.items()},
            "read": self.read,
            "device": self.device,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """One read of the test split.

    Attributes:
        number: from 1. begun: seconds since 1970. trials: which were to be scored.
        ended: whether it left results; one that was killed counts all the same.
    """

    number: int
    begun: float
    host: str
    split: str
    trials: Sequence[int]
    ended: bool

    @property
    def date(self) -> str:
        """When it began, in UTC to the minute."""
        return datetime.fromtimestamp(self.begun, UTC).strftime("%Y-%m-%d %H:%M UTC")

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "begun": self.date,
            "host": self.host,
            "split": self.split,
            "trials": list(self.trials),
            "ended": self.ended,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """All that a study has read of its test split.

    Attributes:
        reads: at least one, in their order; of whatever images and labels.
        elsewhere: how often other studies of the database have read the same split as `split`.
        split: a hash of the images and labels that the scores below are of.
        images: how many these are. problems: what makes them less of a test.
        best, baseline: the present ones, on the same images; None where they were not scored on these.
    """

    reads: Sequence[Read]
    elsewhere: int
    split: str
    images: int
    problems: Sequence[str]
    best: Scored | None
    baseline: Scored | None

    @property
    def difference(self) -> Estimate | None:
        """The best less the baseline, image by image; None where one was not scored, or both are one."""
        if self.best is None or self.baseline is None or self.best.trial == self.baseline.trial:
            return None
        pairs = zip(self.best.scores, self.baseline.scores, strict=True)
        return estimate([best - baseline for best, baseline in pairs])

    @property
    def is_test(self) -> bool:
        """Whether no number of another read could have been picked in place of these."""
        return len(self.reads) == 1 and not self.elsewhere

    def counted(self) -> str:
        """How often the split was read, in a sentence or two."""
        times = "once" if len(self.reads) == 1 else f"{len(self.reads)} times"
        others = (
            f", and {self.elsewhere} times for other studies of this database" if self.elsewhere else ""
        )
        said = f"The test split has been read {times} for this study (first {self.reads[0].date}){others}."
        if self.is_test:
            return said
        total = len(self.reads) + self.elsewhere
        return f"{said} A number chosen among {total} reads is no longer a test."

    def to_json(self) -> dict[str, Any]:
        """The object under `test` of `search report --json`."""
        difference = self.difference
        return {
            "images": self.images,
            "split": self.split,
            "problems": list(self.problems),
            "best": self.best and self.best.to_json(),
            "baseline": self.baseline and self.baseline.to_json(),
            "difference": difference and difference.to_json(),
            "times_read": len(self.reads),
            "times_read_by_other_studies": self.elsewhere,
            "reads": [read.to_json() for read in self.reads],
        }


def estimate(scores: Sequence[float]) -> Estimate:
    """The mean of one or more scores, and its interval."""
    from scipy.special import stdtrit  # a report that has no test split needs it nowhere here

    values = np.asarray(scores, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return Estimate(mean, None, None)
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * float(values.std(ddof=1)) / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half)
