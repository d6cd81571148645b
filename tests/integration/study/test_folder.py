"""A folder below --runs belongs to one study: another one of the same name is refused there."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from refusals import refused
from service import Answer, Search

from search.errors import StudyError
from search.study import folder as folders
from search.study.folder import OWNER, claim_folder
from search.study.open import open_study
from storage.engine import connect

Command = Callable[..., Answer]


def other(search: Search) -> list[str]:
    """The flag that names another database."""
    return ["--storage", f"sqlite:///{search.folder.parent / 'other.db'}"]


def trained(command: Command, *arguments: str, trials: int = 1) -> None:
    command("start", "--trials", str(trials), "--workers", "0", *arguments)
    command("worker", *arguments)


def test_a_folder_names_its_study(search: Search, command: Command) -> None:
    trained(command)
    owner = json.loads((search.runs / OWNER).read_text())
    assert owner["database"] == str(search.folder.parent / "study.db")
    assert len(owner["token"]) == 32


def test_a_new_study_in_another_database_is_refused(search: Search, command: Command) -> None:
    trained(command)
    for flags in ([], ["--workers", "0"], ["--trials", "9"]):
        line = refused(command, search.folder, "start", *flags, *other(search))
        assert f"{search.runs.relative_to(search.folder)} holds a study of that name in" in line
        assert "study.db" in line and "another --runs" in line
    command("start", "--workers", "0", "--study", "another", *other(search))
    command("start", "--workers", "0", "--runs", "elsewhere", *other(search))


def test_a_move_to_an_empty_postgresql_is_refused(
    search: Search, command: Command, postgres_url: str
) -> None:
    trained(command)
    line = refused(command, search.folder, "start", "--storage", postgres_url)
    assert "study.db" in line and "another --runs" in line
    trained(command, "--storage", postgres_url, "--runs", "elsewhere")
    trained(command, trials=2)
    line = refused(command, search.folder, "start", "--runs", "elsewhere")
    assert "holds a study of that name in postgresql://" in line and "password" not in line


def test_a_study_of_another_database_keeps_out(search: Search, command: Command) -> None:
    """What is in the database is shown all the same, and nothing is read from the folder."""
    trained(command)
    trained(command, "--runs", "elsewhere", *other(search))
    for name in ("worker", "start", "report"):
        assert "another --runs" in refused(command, search.folder, name, *other(search))
    assert "trial-0000" not in command("best", *other(search)).out
    command("compare", "0", "by hand", *other(search))


def test_a_retraining_study_of_another_database_keeps_out(search: Search, command: Command) -> None:
    command("start", "--trials", "2", "--workers", "0")
    command("worker")
    command("start", "--study", "toy-confirm", "--workers", "0", "--trials", "1", *other(search))
    command("worker", "--study", "toy-confirm", *other(search))
    assert "another --runs" in refused(command, search.folder, "confirm", "--workers", "0")
    command("confirm", "--workers", "0", "--as", "mine")


def test_a_copied_database_has_the_same_folders(search: Search, command: Command) -> None:
    trained(command)
    shutil.copy(search.folder.parent / "study.db", search.folder.parent / "other.db")
    command("start", "--trials", "2", "--workers", "0", *other(search))
    command("worker", *other(search))
    assert sorted(path.name for path in search.runs.glob("trial-*")) == ["trial-0000", "trial-0001"]


def test_a_file_where_a_trials_folder_is_due_is_named(search: Search, command: Command) -> None:
    search.create()
    search.runs.mkdir(parents=True)
    path = search.runs / "trial-0007"
    for make in (lambda: path.write_text("notes"), lambda: path.symlink_to("nowhere")):
        make()
        for arguments in (["worker"], ["start", "--workers", "1"]):
            line = refused(command, search.folder, *arguments)
            assert "trial-0007 is no folder, but a trial's is called so; move it away" in line
        path.unlink()
    (search.runs / ".published").write_bytes(b"\xff\n")  # a list that somebody else has written into
    trained(command)


def test_an_older_folder_is_adopted_once(search: Search, command: Command) -> None:
    trained(command)
    (search.runs / OWNER).unlink()
    assert "holds trial 0 of another study" in refused(command, search.folder, "start", *other(search))
    trained(command, trials=2)
    assert (search.runs / OWNER).exists()


def test_a_deleted_study_leaves_its_folder_to_the_next(search: Search, command: Command) -> None:
    trained(command)
    before = (search.runs / OWNER).read_text()
    optuna.delete_study(study_name="toy", storage=search.url)
    trained(command)
    after = (search.runs / OWNER).read_text()
    assert before != after and json.loads(after)["database"] == json.loads(before)["database"]
    Path(search.folder.parent / "study.db").unlink()
    trained(command)
    assert (search.runs / OWNER).read_text() != after


def test_a_renamed_study_keeps_its_folder(search: Search, command: Command) -> None:
    trained(command)
    with sqlite3.connect(search.folder.parent / "study.db") as database:
        database.execute("UPDATE studies SET study_name = 'renamed'")
    line = refused(command, search.folder, "start")
    assert "study 'renamed', which was renamed" in line


def test_a_broken_mark_is_named(search: Search, command: Command) -> None:
    trained(command)
    for text in ("", "{", "[]", "{}"):
        (search.runs / OWNER).write_text(text)
        assert "does not name a study" in refused(command, search.folder, "worker")


@pytest.mark.parametrize("links", [True, False])
def test_of_two_studies_at_once_one_gets_the_folder(
    search: Search, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(folders.os, "link", unsupported)
    search.create()
    url = f"sqlite:///{search.folder.parent / 'other.db'}"
    mine, runs = open_study(search.url, "toy"), search.folder / "runs"
    search.url = url
    theirs = search.create() and open_study(url, "toy")
    read, both = folders.read_owner, threading.Barrier(2)

    def read_together(folder: Path) -> folders.Owner | None:
        found = read(folder)
        if found is None and threading.current_thread().name in ("a", "b"):
            threading.current_thread().name += " has read"
            both.wait(60)
        return found

    monkeypatch.setattr(folders, "read_owner", read_together)
    ends: dict[str, object] = {}

    def claim(name: str, study: object) -> None:
        try:
            ends[name] = claim_folder(study, runs)  # type: ignore[arg-type]
        except StudyError as error:
            ends[name] = error

    threads = [
        threading.Thread(target=claim, args=each, name=each[0]) for each in (("a", mine), ("b", theirs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(end).__name__ for end in ends.values()) == ["PosixPath", "StudyError"]


@pytest.mark.parametrize(
    "name",
    ["artifacts", "search.db", "search.db-wal", "search.db-shm", "search.db.lock", "my.sqlite3", "X.DB"],
)
def test_a_name_of_something_else_below_runs_is_refused(
    search: Search, command: Command, name: str
) -> None:
    line = refused(command, search.folder, "start", "--study", name)
    assert repr(name) in line and "use another name" in line


def test_an_existing_study_of_such_a_name_still_opens(search: Search, command: Command) -> None:
    command("start", "--workers", "0")
    engine = connect(search.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE studies SET study_name = 'old.db'")
    engine.dispose()
    assert command("status", "--study", "old.db", "--json").json["study"] == "old.db"
