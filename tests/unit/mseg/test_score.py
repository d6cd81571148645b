"""A study's score: which column it is, that both are recorded, and checkpoints of versions without them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import SMALL, best, history, last, small

from search.errors import SpaceError
from search.loading import check_score, vocabulary_of
from search.mseg import checkpoint, configure, train, vocabulary
from search.objective import Run
from search.recorded_run import read_run

NEW_SETTINGS = ("loss.", "optimizer.momentum")
NEW_COLUMNS = ("val_miou", "train_miou", "val_fscore_pooled")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_a_study_of_the_mean_iou_gets_it_as_its_score(tmp_path: Path) -> None:
    by_f = list(train(small(trainer__epochs=2), Run(tmp_path / "f", seed=2)))
    by_iou = list(train(small(trainer__epochs=2), Run(tmp_path / "iou", seed=2, score="val_miou")))
    columns = history(tmp_path / "iou")
    assert columns == history(tmp_path / "f")  # whatever the score, both are recorded
    assert [result.score for result in by_iou] == columns["val_miou"]
    assert [result.score for result in by_f] == columns["val_f_score"]
    assert by_iou[0].metrics["val_f_score"] == by_f[0].score
    assert by_f[0].metrics["val_miou"] == by_iou[0].score
    for folder, column in {"f": "val_f_score", "iou": "val_miou"}.items():
        _, about = best(tmp_path / folder)
        scores = columns[column]
        assert scores[about["epoch"] - 1] == max(scores)


def test_patience_counts_in_the_studys_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from search.mseg.metrics import Scores

    falling = iter(np.linspace(0.9, 0.1, 40))
    result = Scores.result

    def worse(self: Scores) -> Any:
        return {**result(self), "val_miou": float(next(falling))}

    monkeypatch.setattr(Scores, "result", worse)
    config = small(trainer__patience=1, trainer__epochs=4)
    assert len(list(train(config, Run(tmp_path, smooth=1, score="val_miou")))) == 2


def test_the_vocabulary_of_a_score_has_its_column_and_words() -> None:
    miou = vocabulary_of("search.mseg", "val_miou")
    assert (miou.score_column, miou.train_score_column, miou.score_words) == (
        "val_miou",
        "train_miou",
        "val mIoU",
    )
    default = vocabulary_of("search.mseg")
    assert default == vocabulary_of("search.mseg", "val_fscore") == vocabulary
    assert (default.score_column, default.score_words) == ("val_f_score", "val F per image")
    assert default.default_score == "val_fscore"


@pytest.mark.parametrize(
    ("objective", "score", "message"),
    [
        (
            "search.mseg",
            "val_iou",
            "study.score: 'val_iou' is not one of val_fscore, val_miou (did you mean",
        ),
        ("json", "acc", "study.score: 'acc': objective json has one score, which has no name; omit it"),
    ],
)
def test_a_score_that_the_objective_lacks_is_refused(objective: str, score: str, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        check_score(objective, score)
    assert str(refused.value).startswith(message)
    assert refused.value.parameter == "study.score"


def test_the_default_score_and_none_are_accepted() -> None:
    for score in (None, "val_fscore", "val_miou"):
        check_score("search.mseg", score)
    check_score("json", None)


# -- checkpoints of older versions -----------------------------------------------------------------


def age(folder: Path, **settings: Any) -> None:
    """Makes the checkpoint in `folder` one of a version without terms, score and further optimisers."""
    state = last(folder)
    state["params"] = {
        **{name: value for name, value in state["params"].items() if not name.startswith(NEW_SETTINGS)},
        "loss.kind": "ce_dice",
        **settings,
    }
    for column in NEW_COLUMNS:
        del state["history"][column]
        state["trained"].pop(column, None)
    checkpoint.save(folder, state)


def test_a_checkpoint_of_an_older_version_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    config, run = small(loss__dice_weight=0.75), Run(tmp_path / "old", seed=1)
    list(train(config, Run(tmp_path / "straight", seed=1)))
    first = train(config, run)
    next(first), next(first)
    first.close()
    age(run.dir, **{"loss.dice_weight": 0.75})

    older = configure(SMALL | {"loss.kind": "ce_dice", "loss.dice_weight": 0.75})
    results = list(train(older, run))
    assert [(result.epoch, result.resumed) for result in results] == [(2, True), (3, False), (4, False)]
    straight, ours = history(tmp_path / "straight"), history(run.dir)
    assert ours["train_miou"] == [None, None, *straight["train_miou"][2:]]
    for column in ("val_miou", "val_fscore_pooled"):  # the second epoch was validated once more
        assert ours[column] == [None, *straight[column][1:]]
    for column in straight.keys() - set(NEW_COLUMNS):
        assert ours[column] == straight[column], column
    for one, other in zip(
        last(run.dir)["model"].values(), last(tmp_path / "straight")["model"].values(), strict=True
    ):
        assert torch.equal(one, other)
    assert read_run(run.dir).columns["val_miou"][0] is None


def test_an_older_checkpoint_of_another_loss_is_refused(tmp_path: Path) -> None:
    first = train(small(), Run(tmp_path))
    next(first)
    first.close()
    age(tmp_path, **{"loss.dice_weight": 1.5})
    with pytest.raises(SpaceError, match=r"is of loss\.lovasz_weight 0\.0, not 0\.5; remove the folder"):
        next(train(small(loss__lovasz_weight=0.5), Run(tmp_path)))


def test_a_checkpoint_with_a_setting_that_is_not_known_is_refused(tmp_path: Path) -> None:
    first = train(small(), Run(tmp_path))
    next(first)
    first.close()
    age(tmp_path, **{"loss.tversky_weight": 0.5})
    with pytest.raises(SpaceError, match=r"is of another version \(loss\.tversky_weight: no such setting"):
        next(train(small(), Run(tmp_path)))
