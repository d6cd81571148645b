"""Scores on a labelled test split as plain values: by image, with intervals, and how often it was read.

An interval is Student's t over the test images (Student 1908), for a difference over the differences on
the same image, which is the paired t test:

    mean -+ t(n - 1, 0.975) * s / sqrt(n)

It says what other images of the same kind would give with these weights. What another seed would give is
not included; `search confirm` is about that. And it holds only for a number that nobody picked among
several, which is why reads are counted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from search.analysis.interval import student_margin


@dataclass(frozen=True, slots=True)
class ImageMean:
    """A mean over images and its 95 % interval, which a single image does not have."""

    value: float
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialScores:
    """What one trial's weights score on the test split.

    Attributes:
        weights: SHA-256 of their file.
        scores: of each image, in the same order for all trials.
        per_class: by class, the mean over the images that contain it, and how many do.
        read: the number of the read that scored it. device: what it was scored on, `cpu`, `GPU 0`.
    """

    trial: int
    weights: str
    scores: Sequence[float]
    per_class: Mapping[str, tuple[float, int]]
    read: int
    device: str

    @property
    def mean(self) -> ImageMean:
        return image_mean(self.scores)

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
class SplitRead:
    """One read of the test split.

    Attributes:
        number: from 1. begun: seconds since 1970. trials: those to be scored.
        ended: whether it left results; a killed read counts, too.
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
        return {**asdict(self), "begun": self.date}


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitScores:
    """All a study has read of its test split.

    Attributes:
        reads: at least one, in order; of any images and labels.
        elsewhere: how often other studies of the database have read the same split as `split`.
        split: a hash of the images and labels that the scores below belong to.
        images: their number. problems: what makes them less of a test.
        best, baseline: the current ones, on these images; None if they were not scored on them.
    """

    reads: Sequence[SplitRead]
    elsewhere: int
    split: str
    images: int
    problems: Sequence[str]
    best: TrialScores | None
    baseline: TrialScores | None

    @property
    def difference(self) -> ImageMean | None:
        """The best less the baseline, image by image; None if one was not scored, or they are the same."""
        if self.best is None or self.baseline is None or self.best.trial == self.baseline.trial:
            return None
        pairs = zip(self.best.scores, self.baseline.scores, strict=True)
        return image_mean([best - baseline for best, baseline in pairs])

    @property
    def is_test(self) -> bool:
        """Whether these numbers cannot have been picked among those of several reads."""
        return len(self.reads) == 1 and not self.elsewhere

    def count_sentence(self) -> str:
        """How often the split was read, in a sentence or two."""
        times = "once" if len(self.reads) == 1 else f"{len(self.reads)} times"
        others = (
            f", and {self.elsewhere} times for other studies of this database" if self.elsewhere else ""
        )
        sentence = (
            f"The test split has been read {times} for this study (first {self.reads[0].date}){others}."
        )
        if self.is_test:
            return sentence
        total = len(self.reads) + self.elsewhere
        return f"{sentence} A number chosen among {total} reads is no longer a test."

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


def image_mean(scores: Sequence[float]) -> ImageMean:
    """The mean of one or more scores, and its interval."""
    values = np.asarray(scores, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return ImageMean(mean, None, None)
    half = student_margin(float(values.std(ddof=1)), count - 1) / math.sqrt(count)
    return ImageMean(mean, mean - half, mean + half)
