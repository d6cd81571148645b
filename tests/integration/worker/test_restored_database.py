"""A database that is behind the checkpoints: restored from a backup, or what a power cut has left."""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy
from service import Search

from search.objective import EpochResult, Run
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.open import find_study
from search.study.read import read_records
from search.worker.worker import Worker
from search.worker.workspace import Workspace
from storage import studies
from storage.engine import connect

DATABASE = "study.db"


def back_up(folder: Path) -> None:
    with sqlite3.connect(folder / DATABASE) as live, sqlite3.connect(folder / "backup.db") as copy:
        live.backup(copy)


def interrupted(search: Search, at: int, until: int, *, history: bool = False) -> None:
    """Trains a trial to epoch `until`, and puts back the database as it was after epoch `at`."""
    study = search.create("epochs=6", trials=1)

    def train(config: Mapping[str, Any], run: Run) -> Iterator[EpochResult]:
        scores = []
        for result in toy.train(config, run):
            scores.append(result.score)
            if history:
                (run.dir / "history.json").write_text(json.dumps({"val_f_score": scores}))
            if result.epoch == at + 1:
                back_up(search.folder.parent)
            if result.epoch == until + 1:
                studies.set_stop(study.engine, study.id, "now")
                while not run.should_stop():
                    pass
                return
            yield result

    worker = Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")])
    worker.leases.seconds = 1.0
    worker.objective = SimpleNamespace(configure=toy.configure, describe=toy.describe, train=train)
    assert worker.run(Interrupt()) == 0
    study.engine.dispose()
    for path in search.folder.parent.glob(f"{DATABASE}*"):
        path.unlink()
    shutil.copy(search.folder.parent / "backup.db", search.folder.parent / DATABASE)
    engine = connect(search.url)  # whoever owned the trial then is gone
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE search_workers SET left_at = seen_at")
    engine.dispose()


def resumed(search: Search) -> list[float | None]:
    """The curve of the trial after another worker has finished it."""
    study = find_study(search.url, "toy")
    assert study is not None
    assert Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    (record,) = read_records(study)
    assert record.state == "complete"
    return list(record.curve)


def expected(search: Search) -> list[float]:
    study = find_study(search.url, "toy")
    assert study is not None
    (record,) = read_records(study)
    return [toy.score(record.params, epoch) for epoch in range(1, 7)]


@pytest.mark.parametrize(("at", "until"), [(1, 4), (2, 5), (3, 4)])
def test_the_curve_has_no_hole(
    search: Search, at: int, until: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_TOY_LOG", str(search.folder))
    interrupted(search, at, until)
    assert resumed(search) == pytest.approx(expected(search))
    trained = search.trained()
    assert {epoch for _, epoch in trained} == {1, 2, 3, 4, 5, 6}
    assert all(trained[0, epoch] == 1 for epoch in range(1, until + 1)), "nothing was trained again"


def test_scores_come_from_history_json_where_a_mark_of_an_older_version_has_none(search: Search) -> None:
    interrupted(search, 1, 4, history=True)
    mark = search.runs / "trial-0000" / ".epoch"
    mark.write_text(" ".join(mark.read_text().split()[:2]))
    assert resumed(search) == pytest.approx(expected(search))


def test_without_any_scores_the_trial_goes_on_all_the_same(search: Search) -> None:
    interrupted(search, 1, 4)
    mark = search.runs / "trial-0000" / ".epoch"
    mark.write_text(" ".join(mark.read_text().split()[:2]))
    curve = resumed(search)
    assert curve[1:3] == [None, None] and None not in (curve[0], *curve[3:])


def test_a_trial_that_the_database_has_forgotten_is_not_continued(tmp_path: Path) -> None:
    """Its number belongs to another config by now."""
    first = Workspace(tmp_path, 0, "a" * 32, "study")
    first.open()
    (first.work / "last.pt").write_text("epoch 3")
    first.publish(3, {1: 0.1, 2: 0.2, 3: 0.3})
    again = Workspace(tmp_path, 0, "b" * 32, "study")
    assert again.open() == [] and (again.epoch, again.scores) == (3, {1: 0.1, 2: 0.2, 3: 0.3})
    new = Workspace(tmp_path, 0, "c" * 32, "study")
    assert new.open(begun=False) == [] and (new.epoch, new.scores) == (0, {})
    assert list(new.work.iterdir()) == []
