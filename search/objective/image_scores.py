"""`images.json`: what each validation image scored in a training's best epoch.

    {"epoch": 41, "score": 0.6712, "images": {"00012.png": 0.701231, ...}}

It is written for every objective that fills `EpochResult.images`, so that two trainings can be compared
image by image. Scores have six decimals.
"""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from search.objective import EpochResult
from search.objective.files import write_whole

IMAGES = "images.json"


def write_image_scores(folder: Path, best: EpochResult) -> None:
    """Writes the file for the best epoch so far; nothing if it has no scores by image."""
    if not best.images:
        return
    images = {name: round(score, 6) for name, score in best.images.items() if math.isfinite(score)}
    document = {"epoch": best.epoch, "score": best.score, "images": images}
    write_whole(folder / IMAGES, json.dumps(document))  # ASCII: a name may be no text in UTF-8


@dataclass(frozen=True, slots=True)
class KeptImages:
    """What the file holds: the best epoch, its score, and by name the score of each image."""

    epoch: int
    score: float
    images: Mapping[str, float]


def read_image_scores(document: bytes) -> KeptImages | None:
    """The content of the file; None if it is damaged."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        kept = json.loads(document)
        images = {str(name): float(score) for name, score in kept["images"].items()}
        if all(map(math.isfinite, images.values())):
            return KeptImages(int(kept["epoch"]), float(kept["score"]), images)
    return None
