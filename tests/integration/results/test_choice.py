"""Which weights a command means: the best trial's, a named one's, or what fresh seeds have settled."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from refusals import Command, refused
from service import Answer, Search
from trained import images

import search
from search.results import winner
from search.results.next_commands import result_commands
from search.results.weights import find_weights, trial_weights
from search.results.winner import default_study, default_trial
from search.study.open import open_study
from search.study.study import Study

DOCUMENT = """\
objective: search.mseg
study: {trials: 2, smooth: 1, score: val_miou, sampler: {kind: random, seed: 3}, pruner: {kind: none}}
space:
  optimizer: {learning_rate: {low: 0.001, high: 0.003}}
  data: {source: drawn, image_size: 32, eval_size: train, drawn_images: 12, val_share: 0.5}
  model: {width_1: 8, width_2: 8, width_3: 8, width_4: 8, decoder_width: 8}
  trainer: {epochs: 1, batch_size: 5}
  schedule: {warmup_epochs: 0}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Search:
    """A study of two trials on drawn faces that has ended; tests only read it."""
    root = tmp_path_factory.mktemp("finished")
    found = Search(root / "work", f"sqlite:///{root / 'study.db'}", DOCUMENT)
    found.environment["SEARCH_STUDY"] = "faces"
    found.finish("start --workers 0 --artifacts store", "worker --artifacts store")
    return found


@pytest.fixture
def study(finished: Search) -> Iterator[Study]:
    found = open_study(finished.url, "faces", read_only=True)
    yield found
    found.engine.dispose()


@pytest.fixture
def here(finished: Search, monkeypatch: pytest.MonkeyPatch, command: Command) -> Callable[..., Answer]:
    """Runs a command on the finished study."""
    for name, value in finished.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(finished.folder)
    return command


def best_and_other(study: Study) -> tuple[int, int]:
    best, _ = default_trial(study)
    return best, 1 - best


def test_python_predicts_with_the_same_model(
    here: Command, finished: Search, model: Path, tmp_path: Path
) -> None:
    folder = images(tmp_path / "images", ["a", "b"])
    here("predict", "--images", str(folder), "--out", str(tmp_path / "command"))
    with search.open_study("faces", finished.url, runs=finished.folder / "runs") as study:
        done = study.predict(folder, tmp_path / "api", device="cpu")
    assert [(each.image.name, each.fault) for each in done] == [("a.png", None), ("b.png", None)]
    for name in ("a.png", "b.png"):
        assert (tmp_path / "api" / name).read_bytes() == (tmp_path / "command" / name).read_bytes()
    search.load_predictor(model, device="cpu").predict(folder / "a.png", tmp_path / "other.png")
    assert (tmp_path / "other.png").exists()


def test_the_best_trial_predicts(here: Command, study: Study, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    folder = images(tmp_path / "images", ["a"])
    answer = here("predict", "--images", str(folder), "--out", out, "--json")
    best, other = best_and_other(study)
    assert answer.json["weights"] == f"trial {best} of study faces"
    assert "the best of the search" in answer.err
    line = here("predict", "--images", str(folder), "--out", out, "--trial", str(other), code=2).err
    assert f"has masks by trial {best} of study faces" in line


def test_an_exported_trial_says_what_it_scored(here: Command, study: Study, tmp_path: Path) -> None:
    best, _ = best_and_other(study)
    document = here("export", "--out", str(tmp_path / "out"), "--json").json
    with trial_weights(study, best, Path("runs"), None) as weights:
        record = weights.record
    assert record is not None
    assert document["metrics"]["value"] == record.value and document["metrics"]["score"] == "val mIoU"
    assert document["metrics"]["trials"] == 2 and document["metrics"]["confirmation"] is None
    assert document["params"]["optimizer.learning_rate"] == record.params["optimizer.learning_rate"]
    assert document["provenance"]["data"] == dict(study.row.fingerprint)
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"trial {best} of study `faces`" in card and "not trained again on fresh seeds" in card


def test_what_fresh_seeds_settled_is_used(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    best, other = best_and_other(study)

    class Config:
        number = other

    class Result:
        config, verdict = Config, "better"

    class Settled:
        study, ended, winner, contenders, baseline = "faces-confirm", True, Result, [Result], Result

    monkeypatch.setattr(winner, "confirmation_of", lambda study: Settled)
    number, why = default_trial(study)
    assert number == other and "better on fresh seeds" in why and f"trial {best}" in why
    Settled.ended = False
    assert default_trial(study) == (best, "the best of the search")
    Settled.ended, Result.verdict = True, "not settled"
    assert default_trial(study)[0] == best
    Result.verdict = "worse"
    assert default_trial(study)[0] == other  # the baseline's
    Result.verdict, Config.number = "better", best
    assert default_trial(study) == (best, "the best of the search, which fresh seeds confirm")


def test_the_last_stage_with_a_trial_is_meant(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [replace(study, url=f"stage {index}") for index in (2, 3)]
    for stage, kind in zip(stages, ("stage", "stage"), strict=True):
        vars(stage)["plan"] = SimpleNamespace(kind=kind, stage=1, of="faces")
    monkeypatch.setattr(winner, "made_stages", lambda search: stages)
    assert default_study(study) is stages[1]
    best, _ = best_and_other(study)
    assert default_trial(stages[1]) == (best, "the best of stage 2 of search faces")
    monkeypatch.setattr(winner, "made_stages", lambda search: [])
    assert default_study(study) is study


def test_weights_are_fetched_from_the_store(
    finished: Search, here: Command, study: Study, tmp_path: Path
) -> None:
    best, _ = best_and_other(study)
    elsewhere = tmp_path / "elsewhere"
    with trial_weights(study, best, finished.folder / "runs", None) as weights:
        kept = weights.path.read_bytes()
    place = str(finished.folder / "store")
    fetched = find_weights(study, best, elsewhere, place, tmp_path, "--trial")
    assert fetched.read_bytes() == kept


REFUSED: dict[str, tuple[list[str], list[str]]] = {
    "no such trial": (["--trial", "7"], ["--trial: 7 is not a trial of study 'faces'"]),
    "a negative number": (["--trial", "-1"], ["--trial"]),
    "no such study": (["--study", "fcaes"], ["no study 'fcaes'", "faces"]),
    "no weights here": (["--runs", "elsewhere"], ["has no weights here", "--artifacts"]),
    "a model and a trial": (["--model", "x", "--trial", "1"], ["--trial", "omit --model"]),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("verb", ["predict", "export", "submit"])
def test_a_wrong_choice_is_one_line(
    here: Command, finished: Search, tmp_path: Path, name: str, verb: str
) -> None:
    flags, words = REFUSED[name]
    folder = images(tmp_path / "images", ["a"])
    others = [] if verb == "export" else ["--images", str(folder)]
    line = refused(here, finished.folder, verb, "--out", str(tmp_path / "out"), *others, *flags)
    assert all(word in line for word in words), line


def test_closing_words_name_what_the_objective_offers(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "test" / "images").mkdir(parents=True)
    stock = result_commands("search.mseg", "faces", tmp_path)
    assert [line.split()[1] for line in stock] == ["predict", "submit"]
    assert str(tmp_path / "test" / "images") in stock[0]
    assert result_commands("search.mseg", "faces", None) == [
        "search predict --study faces --images IMAGES --out masks"
    ]
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "plain_one.py").write_text("def train(config, run): ...")
    assert result_commands("plain_one", "faces", tmp_path) == []
    assert result_commands("absent_one", "faces", tmp_path) == []
