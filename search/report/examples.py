"""The validation examples whose score changed most between two runs, from what each run kept of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.objective import Vocabulary

SHOWN = 3
"""Examples of each kind: those that lost most, and those that gained most."""


@dataclass(frozen=True, slots=True)
class ExamplePair:
    """One example as two runs see it.

    Attributes:
        before, after: its score. image, truth, old, new: (H, W, 3) RGB, ready to be drawn.
    """

    name: str
    before: float
    after: float
    image: Any
    truth: Any
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class ExampleChanges:
    """The examples that changed most, the largest loss first; how many of all got better and worse."""

    pairs: Sequence[ExamplePair]
    count: int
    better: int
    worse: int


def example_changes(before: Path, after: Path, vocabulary: Vocabulary) -> ExampleChanges | None:
    """Between the runs in two folders; None if either kept nothing, or they kept other examples."""
    if vocabulary.examples is None:
        return None
    old, new = vocabulary.examples(before), vocabulary.examples(after)
    if old is None or new is None or list(old.names) != list(new.names):
        return None
    difference = np.asarray(new.scores) - np.asarray(old.scores)
    order = np.argsort(difference, kind="stable")
    lost = [int(index) for index in order[:SHOWN] if difference[index] < 0]
    gained = [int(index) for index in order[::-1][:SHOWN] if difference[index] > 0]
    pairs = [
        ExamplePair(
            name=old.names[index],
            before=float(old.scores[index]),
            after=float(new.scores[index]),
            image=new.images[index],
            truth=new.truth[index],
            old=old.predicted[index],
            new=new.predicted[index],
        )
        for index in (*lost, *gained)
    ]
    return ExampleChanges(pairs, len(difference), int((difference > 0).sum()), int((difference < 0).sum()))
