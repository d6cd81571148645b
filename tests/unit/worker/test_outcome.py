"""What a result means for its trial: tests of search/worker/outcome.py."""

import json
import os
from pathlib import Path

import pytest

from search.objective import EpochResult
from search.objective.image_scores import IMAGES, read_image_scores, write_image_scores
from search.spec.spec import load_spec, stock_space
from search.worker.outcome import OwnedTrial
from search.worker.workspace import Workspace
from storage.claims import Lease

COLUMNS = {"val_f_score": [0.5, 0.6, 0.7], "val_miou": [0.3, 0.4, 0.45]}


@pytest.mark.parametrize(("score", "column"), [("val_fscore", "val_f_score"), ("val_miou", "val_miou")])
def test_forgotten_epochs_come_back_in_the_score_that_the_study_searches_by(
    tmp_path: Path, score: str, column: str
) -> None:
    workspace = Workspace(tmp_path, 0, "a" * 32, "study")
    workspace.open()
    (workspace.work / "history.json").write_text(json.dumps(COLUMNS))
    trial = OwnedTrial(Lease(trial_id=1, number=0, slot=0, attempt=2, deaths=0, epochs=1), workspace)
    trial.scores[1] = 0.25  # as the database has it: never replaced
    resumed = EpochResult(epoch=3, epochs=5, score=COLUMNS[column][2], resumed=True)
    trial.add_with_forgotten(resumed, load_spec(stock_space(), overrides=[f"study.score={score}"]))
    assert trial.scores == {1: 0.25, 2: COLUMNS[column][1], 3: COLUMNS[column][2]}
    assert [result.epoch for result in trial.waiting] == [2, 3]


def test_a_name_of_an_image_that_is_no_text_is_kept(tmp_path: Path) -> None:
    image = os.fsdecode(b"\xff.png")
    write_image_scores(tmp_path, EpochResult(epoch=1, epochs=1, score=0.5, images={image: 0.5}))
    kept = read_image_scores((tmp_path / IMAGES).read_bytes())
    assert kept is not None and dict(kept.images) == {image: 0.5}
    for damaged in ("[" * 100_000, f'{{"epoch": 1, "score": 1, "images": {{"a": 1{"0" * 400}}}}}'):
        assert read_image_scores(damaged.encode()) is None
