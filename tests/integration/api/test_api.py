"""The Python API against the commands: the same answers, the project's own errors, nothing lost."""

import json
import os
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from old_databases import copy_of_v1
from service import STUDY, TESTS, Search
from toy_studies import right

import search as api
from search.errors import StudyError


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> api.OpenStudy:
    """A study of an older version, which has trained real models."""
    copy = copy_of_v1(tmp_path)
    monkeypatch.chdir(copy)
    return api.open_study("faces", "sqlite:///search.db")


def answer(name: str) -> object:
    return json.loads((Path(__file__).parents[2] / "data" / "v1" / "json" / f"{name}.json").read_text())


def test_records_are_those_of_the_commands(study: api.OpenStudy) -> None:
    with study:
        trials = study.trials()
        assert [trial.number for trial in trials] == list(range(12))
        assert study.best == trials[study.best.number] == study.trial(study.best.number)
        assert study.best.number == answer("best-faces")["number"]
        assert study.snapshot().budget.finished == len(trials)


def test_a_frame_has_a_row_for_each_trial_and_a_column_for_each_parameter(study: api.OpenStudy) -> None:
    frame, trials = study.trials_frame(), study.trials()
    assert list(frame["number"]) == [trial.number for trial in trials]
    rate = frame["params.optimizer.learning_rate"]
    assert list(rate) == [trial.params["optimizer.learning_rate"] for trial in trials]
    assert set(frame["state"]) == {trial.state for trial in trials} and "curve" not in frame
    reasons = [trial.reason.text for trial in trials if trial.reason]
    assert list(frame["reason"].dropna()) == reasons != []


@pytest.mark.parametrize(("method", "package"), [("trials_frame", "pandas"), ("plotly_figure", "plotly")])
def test_without_an_optional_package_a_line_says_what_to_install(
    study: api.OpenStudy, monkeypatch: pytest.MonkeyPatch, method: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr("optuna.visualization.is_available", lambda: False)
    with pytest.raises(api.UserError, match=rf"{package}.*pip install 'mseg-search\[notebook\]'"):
        getattr(study, method)()


def test_a_comparison_and_a_report_are_the_commands_own(study: api.OpenStudy, tmp_path: Path) -> None:
    found = study.compare(0, "best", claims=["lr 8e-4 -> 1e-3"])
    assert found.b.name == study.best.title and len(found.claims) == 1
    tested = api.open_study("tested", "sqlite:///search.db")
    written = tested.report(folder=tmp_path / "report")
    assert written.numbers["best"]["number"] == tested.best.number
    assert tested.best.title in written.paths[0].read_text()


def test_figures_are_matplotlibs_and_plotlys(study: api.OpenStudy) -> None:
    for figure in (study.history_figure(), study.trial_figure(0)):
        assert isinstance(figure, Figure) and figure.axes
    drawn = study.plotly_figure("optimization_history")
    values = [trial.value for trial in study.trials() if trial.state == "complete"]
    assert sorted(drawn.data[0].y) == pytest.approx(sorted(values))


WRONG = {
    "no study": (lambda study: api.open_study("facse", "sqlite:///search.db"), "faces-confirm"),
    "no database": (lambda study: api.open_study("faces", "mysql://h/x"), "mysql"),
    "no trial": (lambda study: study.trial(99), "99 is not a trial"),
    "no such run": (lambda study: study.compare(0, "worst"), "worst"),
    "no baseline": (lambda study: study.report(against="nobody"), "nobody"),
    "too few trials": (lambda study: study.importance_figure(), "too few complete trials"),
    "no such figure": (lambda study: study.plotly_figure("histroy"), "histroy"),
    "no weights": (lambda study: study.predictor(99), "99"),
    "no model": (lambda study: api.load_predictor("nowhere"), "nowhere: no such file"),
    "no profile": (lambda study: api.start("new", profile="quikc"), "did you mean 'quick'"),
    "no workers": (lambda study: api.start("new", workers=0), "workers: 0"),
    "no trials": (lambda study: api.start("new", trials=0), "trials: 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_an_error_of_the_projects_own(study: api.OpenStudy, name: str) -> None:
    call, words = WRONG[name]
    with pytest.raises(api.SearchError) as refused:
        call(study)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_study_that_retrains_has_no_best(study: api.OpenStudy) -> None:
    retrained = api.open_study("faces-confirm", "sqlite:///search.db")
    with pytest.raises(api.UserError, match="search confirm"):
        _ = retrained.best
    assert issubclass(StudyError, api.UserError)


WAITING = """
import time
from pathlib import Path
import toy
from toy import configure, describe

def train(config, run):
    for result in toy.train(config, run):
        yield result
        while result.epoch == 2 and not Path("left").exists():
            if run.should_stop():
                return
            time.sleep(0.01)
"""
"""The toy, which waits after its second epoch until there is a file `left`, or until it is to stop."""


def test_a_search_is_followed_left_and_gone_on_with(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    (search.folder / "waiting.py").write_text(WAITING)
    document = search.folder / "space.yaml"
    document.write_text(document.read_text().replace("objective: toy", "objective: waiting"))
    monkeypatch.chdir(search.folder)
    monkeypatch.setenv("SEARCH_TOY_LOG", str(search.folder))
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{search.folder}")
    monkeypatch.syspath_prepend(search.folder)
    monkeypatch.setenv("SEARCH_ON_END", "cat > ended.json")
    options = {"gpus": "none", "workers": 1, "runs": search.folder / "runs"}
    with api.start(STUDY, search.url, trials=2, **options) as running:
        for snapshot in running:
            if snapshot.epochs_run >= 2:
                break
    assert snapshot.study == running.study.name == STUDY
    (record,) = search.records()
    assert not (search.folder / "ended.json").exists()
    assert record.epochs == 2 and not search.pids(), "the worker has left, its trial is there"
    (search.folder / "left").touch()
    last = list(api.start(STUDY, search.url, **options))[-1]
    assert last.budget.used_up and last.budget.complete == 2
    assert "2 of 2 trials" in json.loads((search.folder / "ended.json").read_text())["text"]
    assert all(right(record) for record in search.finished(2))
    assert set(search.trained().values()) == {1}, "closing cost no epoch that was reported"
    assert os.getpid() not in {worker.pid for worker in last.workers}
    again = api.start(STUDY, search.url, **options)
    assert [each.budget for each in again] == [last.budget]
