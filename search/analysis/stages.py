"""The stages of a training: warm-up, fast learning, steady climb, peak, late.

A stage is a range of epochs; its figures are plain means over them. Its boundaries are given, or follow
from the run by `boundaries`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from search.errors import UserError
from search.scoring import mean_of, trailing_means
from search.spec.settings import STAGES, are_stage_ends

WINDOW = 5  # epochs of the mean that decides the boundaries
FAST, STEADY = 0.85, 0.975  # of the best mean: where fast learning and the steady climb end

Curve = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class TrainingStage:
    """Epochs `first` to `last`, inclusive.

    Attributes:
        score: mean validation score. train_score: mean training score.
        gap: mean of training less validation score in points (hundredths), over the epochs with both.
        lr: mean learning rate. Each is None if the stage has no such values.
    """

    name: str
    first: int
    last: int
    score: float | None
    train_score: float | None = None
    gap: float | None = None
    lr: float | None = None


def stages(
    ends: Sequence[int], scores: Curve, train_scores: Curve = (), lr: Curve = ()
) -> list[TrainingStage]:
    """The run cut after the epochs `ends`: four ascending ones for five stages.

    A stage that would begin after the last epoch is left out; the last one ends with the run.
    """
    cut = []
    for name, (before, end) in zip(STAGES, pairwise([0, *ends, len(scores)]), strict=True):
        here = slice(before, min(end, len(scores)))
        if before >= here.stop:
            continue
        gaps = [
            100 * (train - score)
            for train, score in zip(train_scores[here], scores[here], strict=False)
            if train is not None and score is not None
        ]
        cut.append(
            TrainingStage(
                name=name,
                first=before + 1,
                last=here.stop,
                score=mean_of(scores[here]),
                train_score=mean_of(train_scores[here]),
                gap=mean_of(gaps),
                lr=mean_of(lr[here]),
            )
        )
    return cut


def parse_ends(text: str) -> list[int]:
    """`5,30,90,120`; UserError unless these are four ascending epochs."""
    parts = [part.strip() for part in text.split(",")]
    ends = [int(part) for part in parts if re.fullmatch(r"[0-9]{1,9}", part)]
    if len(ends) != len(parts) or not are_stage_ends(ends):
        raise UserError(f"--stages: {text!r} is not {len(STAGES) - 1} ascending epochs, as in 5,30,90,120")
    return ends


def boundaries(scores: Curve, warmup: int) -> list[int]:
    """Where each of the first four stages ends, by the mean of `WINDOW` scores; larger is better.

    Warm-up: as configured. Fast learning: until the mean is first at 85 % of its best. Steady climb:
    until it is first at 97.5 %. Peak: as many epochs after the mean's best as it took from there to it.
    """
    epochs = [epoch for epoch, score in enumerate(scores, 1) if score is not None]
    means = trailing_means([score for score in scores if score is not None], WINDOW)
    best = max(means)
    fast, steady, top = (
        epochs[next(index for index, mean in enumerate(means) if mean >= share * best)]
        for share in (FAST, STEADY, 1.0)
    )
    ends = [warmup, fast, steady, 2 * top - steady]
    return [max(ends[: index + 1]) for index in range(4)]
