"""What `search train` found: a score per seed, their mean with its interval, and what that says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search import formatting
from search.analysis.paired_seeds import Blocks, Estimate
from search.records import finite
from search.render.document import Block, Headline, Paragraph, Table, literal
from search.scoring import best_mean, epoch_of_best
from search.training.request import TrainingRequest
from search.training.run import GOOD, SeedTraining

SEEN = "of the last epoch, on validation images that it was trained on: no estimate of new images"


@dataclass(frozen=True, kw_only=True)
class TrainedSeeds:
    """The trainings of one request."""

    request: TrainingRequest
    out: Path
    trainings: Sequence[SeedTraining]

    @property
    def ended(self) -> bool:
        """Whether every training has ended by itself."""
        return all(each.end in GOOD for each in self.trainings)

    @property
    def mean(self) -> Estimate | None:
        """Over seeds, with the 95 % t interval of another seed's mean; None for fewer than two."""
        scores = [self.score(each) for each in self.trainings if each.end in GOOD]
        return Blocks(np.array([scores], dtype=np.float64)).mean(0) if len(scores) > 1 else None

    def score(self, training: SeedTraining) -> float | None:
        """The best mean of consecutive epochs, as a trial's value; on all data the last epoch's score."""
        curve = training.curve
        if self.request.all_data:
            return curve[-1] if curve else None
        return best_mean(curve, self.request.smooth, self.request.direction)

    @property
    def meaning(self) -> str:
        """What a score is, in words."""
        words = self.request.vocabulary.score_words
        if self.request.all_data:
            return f"{words} {SEEN}"
        return f"the best mean of {self.request.smooth} epochs of {words}"

    def to_json(self) -> dict[str, Any]:
        """The object of `search train --json`."""
        request = self.request
        return finite(
            {
                "out": str(self.out),
                "source": request.source,
                "objective": request.objective,
                "params": dict(request.params),
                "left_out": request.left_out,
                "all_data": request.all_data,
                "until_epoch": request.last,
                "rests_on": request.rests_on,
                "score": self.meaning,
                "seeds": [self._seed(each) for each in self.trainings],
                "mean": self.mean and self.mean.to_json(),
            }
        )

    def _seed(self, training: SeedTraining) -> dict[str, Any]:
        best = _best(training, self.request)
        return {
            "seed": training.seed,
            "folder": str(training.folder),
            "end": training.end,
            "epochs": training.epoch,
            "score": self.score(training),
            "best_epoch": best,
            "best_score": None if best is None else training.scores[best],
        }

    def blocks(self) -> list[Block]:
        """The same for a person."""
        rows = [
            [
                str(row["seed"]),
                row["end"],
                formatting.whole(row["epochs"]),
                formatting.score(row["score"]),
                formatting.whole(row["best_epoch"]),
                formatting.score(row["best_score"]),
                literal(row["folder"]),
            ]
            for row in map(self._seed, self.trainings)
        ]
        head = ["seed", "end", "epochs", "score", "best epoch", "its score", "folder"]
        mean = self.mean
        text, detail = f"Trained {literal(self.request.source)}", ""
        if mean is not None:
            value, low, high = map(formatting.score, (mean.value, mean.low, mean.high))
            detail = f"mean {value}, 95 % interval over seeds {low} to {high}"
        notes = [f"The score is {self.meaning}."]
        if mean is not None:
            notes.append(
                "The interval is about other seeds with the same data and split, not about other images."
            )
        if self.request.rests_on:
            notes.append(f"The number of epochs rests on this: {self.request.rests_on}")
        return [Headline(text, "plain", detail), Table(head, rows), *map(Paragraph, notes)]


def _best(training: SeedTraining, request: TrainingRequest) -> int | None:
    """The best epoch; on all data none is chosen."""
    scores = {epoch: score for epoch, score in training.scores.items() if score == score}
    return epoch_of_best(scores, request.direction) if scores and not request.all_data else None
