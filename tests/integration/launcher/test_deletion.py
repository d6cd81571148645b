"""`search delete`: what goes with a study, what stays, and who keeps it from going."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from refusals import everything, refused
from service import Answer, Search

from search.study.open import open_study
from storage.claims import Claimant
from storage.deletion import delete_studies
from storage.engine import connect
from storage.leases import Leases, Status
from storage.processes import Process

Command = Callable[..., Answer]


def trained(search: Search, command: Command, trials: int = 2) -> None:
    search.create(trials=trials)
    command("worker")


def rows(search: Search) -> dict[str, int]:
    """The number of rows of every table that is not empty, but for the versions of the tables."""
    engine = connect(search.url)
    with engine.connect() as connection:
        names = [name for name in sqlalchemy.inspect(connection).get_table_names() if "version" not in name]
        counts = {
            name: int(connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one())
            for name in names
        }
    engine.dispose()
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_of_a_deleted_study_is_left(
    kind: str,
    search: Search,
    command: Command,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind == "postgresql":
        search.url = request.getfixturevalue("postgres_url")
        monkeypatch.setenv("SEARCH_STORAGE", search.url)
    trained(search, command)
    command("import", str(search.runs / "trial-0000"), "--name", "an older run", code=None)
    assert rows(search)["trials"] == 2
    answer = command("delete", "--files", "--json")
    assert answer.json == {
        "deleted": ["toy"],
        "trials": 2,
        "removed": [str(search.runs.relative_to(search.folder))],
        "left": [],
    }
    assert rows(search) == {} and not search.runs.exists()
    assert not any((search.folder / "runs" / "artifacts").iterdir())
    assert "no study 'toy'" in refused(command, search.folder, "delete")


def test_files_stay_unless_they_are_asked_for(search: Search, command: Command) -> None:
    trained(search, command)
    command("delete")
    assert (search.runs / "trial-0001" / "last.pt").exists()
    trained(search, command, 1)


def test_a_users_own_files_stay_and_are_named(search: Search, command: Command) -> None:
    trained(search, command)
    mine = [
        search.runs / "notes.md",
        search.runs / "trial-0000" / "why.txt",
        search.runs / "trial-0000-good" / "last.pt",
        search.runs / "report" / "figures" / "mine.svg",
        search.runs / "trial-0099" / "last.pt",  # a trial that the study does not have
        search.runs / "report" / "report.md" / "mine.txt",
    ]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    elsewhere = search.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "last.pt").write_text("mine")
    (search.runs / "trial-link").symlink_to(elsewhere)
    said = command("delete", "--files").err
    left = {path for path in search.runs.rglob("*") if path.is_symlink() or not path.is_dir()}
    left -= {search.runs / "study.json", search.runs / ".published"}
    assert left == {*mine, search.runs / "trial-link"} and (elsewhere / "last.pt").exists()
    assert all(str(path.relative_to(search.folder)) in said for path in left)
    trained(search, command)  # the next study of that name is not kept out by them


def test_the_studies_that_retrain_its_trials_go_with_it(search: Search, command: Command) -> None:
    trained(search, command)
    command("confirm", "--workers", "0")
    search.create()  # another study stays
    command("start", "--study", "other", "--workers", "0")
    answer = command("delete", "--json")
    assert answer.json["deleted"] == ["toy", "toy-confirm"] and "toy-confirm" in answer.err
    assert command("status", "--study", "other", "--json").json["study"] == "other"
    assert "no study" in refused(command, search.folder, "status", "--study", "toy-confirm")


def test_a_retraining_study_goes_alone(search: Search, command: Command) -> None:
    trained(search, command)
    command("confirm", "--workers", "0")
    assert command("delete", "--study", "toy-confirm", "--json").json["deleted"] == ["toy-confirm"]
    command("status")


@pytest.mark.parametrize("study", ["toy", "toy-confirm"])
def test_a_live_worker_keeps_its_study(search: Search, command: Command, study: str) -> None:
    trained(search, command)
    command("confirm", "--workers", "0")
    opened = open_study(search.url, study)
    leases = Leases(opened.engine, opened.id, "w" * 32, Process.current())
    assert leases.join("cpu")
    leases.beat(Status(state="training"), None)
    line = refused(command, search.folder, "delete", "--files")
    assert f"process {os.getpid()}" in line and f"search stop --now --study {study}" in line
    leases.leave()
    command("delete", "--files")


def test_a_worker_that_is_gone_keeps_nothing(search: Search, command: Command) -> None:
    study = search.create()
    gone = Process(host="here", machine=Process.current().machine, pid=2**22 + 1, started="1")
    assert Leases(study.engine, study.id, "w" * 32, gone).join("cpu")
    command("delete")
    assert rows(search) == {}


def test_a_worker_cannot_join_what_was_deleted(search: Search, command: Command) -> None:
    study = search.create()
    assert delete_studies(study.engine, [study.id], Claimant("", Process.current(), 30.0)) == []
    assert not Leases(study.engine, study.id, "w" * 32, Process.current()).join("cpu")
    assert rows(search) == {}


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_a_terminal_is_asked(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    search.create()

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    before = everything(search.folder)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    said = command("delete", code=code).err
    assert "Delete study 'toy': 0 trials?" in said
    if code:
        assert everything(search.folder) == before and "nothing was deleted" in said
    monkeypatch.setattr("sys.stdin", Terminal(""))
    command("delete", "--yes", code=None if code == 0 else 0)


def test_a_folder_of_another_study_is_not_touched(search: Search, command: Command) -> None:
    trained(search, command)
    other = f"sqlite:///{search.folder.parent / 'other.db'}"
    command("start", "--workers", "0", "--runs", "elsewhere", "--storage", other)
    line = refused(command, search.folder, "delete", "--files", "--storage", other)
    assert "another --runs" in line
    command("status", "--storage", other)


def test_a_failed_deletion_deletes_nothing(search: Search, command: Command) -> None:
    trained(search, command)
    before = rows(search)
    engine = connect(search.url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER stop BEFORE DELETE ON trials BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    engine.dispose()
    command("delete", "--files", code=1)
    assert rows(search) == before and Path(search.runs / "trial-0001" / "last.pt").exists()
