"""What each validation image scored in a trial: from the trial's folder, else from the shared store."""

import io
from pathlib import Path

from search.objective.image_scores import IMAGES, KeptImages, read_image_scores
from search.study.folder import trial_name
from search.study.study import Study
from storage.artifacts import fetch, open_store
from storage.pages import Artifact

BestEpoch = tuple[int | None, float | None]
"""A trial's best epoch and its score."""


def trial_images(
    study: Study, number: int, best: BestEpoch, runs: Path | None, artifacts: str | None = None
) -> dict[str, float]:
    """The scores by image of a trial that has ended; empty if they were not kept, or are not here.

    Args:
        best: the trial's. A folder may be another study's of the same name, whose scores are others.
        runs: where the study's folder is. artifacts: a store that all machines share.
    """
    if runs is not None:
        path = runs / study.name / trial_name(number) / IMAGES
        if path.is_file() and (kept := read_image_scores(path.read_bytes())) and _is_of(kept, best):
            return dict(kept.images)
    if artifacts is not None:
        content = io.BytesIO()
        artifact = Artifact.of(study.token, number, IMAGES)
        if fetch(open_store(artifacts), artifact.id, content):
            kept = read_image_scores(content.getvalue())
            return dict(kept.images) if kept and _is_of(kept, best) else {}
    return {}


def _is_of(kept: KeptImages, best: BestEpoch) -> bool:
    return (kept.epoch, kept.score) == best
