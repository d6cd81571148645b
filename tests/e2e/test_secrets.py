"""A password is in no argument, log, output, file or table, and where it can be, in no environment."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from postgres import restart
from service import Answer, Search
from toy_studies import pauses, uninterrupted

from search.study.resolve import environment_for

SECRET = "hunter2-is-secret"

Command = Callable[..., Answer]


def with_password(url: str) -> str:
    found = sqlalchemy.make_url(url).set(password=SECRET).render_as_string(hide_password=False)
    assert SECRET in found
    return found


def test_a_restart_of_the_database_costs_nothing_and_a_password_is_shown_nowhere(
    search_on_postgres: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = search_on_postgres
    file = search.folder.parent / "url"
    file.write_text(with_password(search.url) + "\n")
    del search.environment["SEARCH_STORAGE"]
    # Looks for the database every second.
    search.environment |= {"SEARCH_STORAGE_FILE": "../url", "SEARCH_LEASE_SECONDS": "6"}
    process = search.spawn("start", "--workers", "1", "--trials", "2", *pauses(0.2, 5))
    search.wait_for_epoch(0, 1)
    (worker,) = search.pids()
    for pid in (process.pid, worker):
        assert SECRET not in Path(f"/proc/{pid}/environ").read_text()
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert SECRET not in line.read_text(errors="replace"), line
        except OSError:  # ended meanwhile
            continue
    restart(search.url)
    search.ends(process)
    uninterrupted(search, trials=2, epochs=5)
    monkeypatch.setenv("SEARCH_STORAGE", with_password(search.url))
    for arguments in ("status", "trials --json", "best", "stop", "status --json"):
        answer = command(*arguments.split())
        assert SECRET not in answer.out + answer.err
    assert "***" in answer.json["storage"]
    assert SECRET not in search.said
    for path in search.folder.rglob("*"):
        assert path.is_dir() or SECRET not in path.read_text(errors="replace"), path
    engine = sqlalchemy.create_engine(search.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        for table in sqlalchemy.inspect(engine).get_table_names():
            rows = connection.exec_driver_sql(f'SELECT * FROM "{table}"').all()
            assert SECRET not in repr(rows), table
    engine.dispose()


UNREACHABLE = [
    f"postgresql://me:{SECRET}@127.0.0.1:9/study",
    f"postgresql://me:x@127.0.0.1:9/study?password={SECRET}&sslpassword={SECRET}",
    f"postgresql://me:{SECRET}@no-such-host.invalid/study",
    f"postgresql://me:{SECRET}%40%2F@/study?host=/nowhere",
    f"mysql://me:{SECRET}@127.0.0.1/study",
    f"postgresql://me:{SECRET}@127.0.0.1:port/study",
]
COMMANDS = [["start"], ["worker", "--wait", "0"], ["status"], ["trials"], ["best"], ["stop"], ["dashboard"]]


@pytest.mark.parametrize("url", UNREACHABLE, ids=range(len(UNREACHABLE)))
def test_a_failed_connection_shows_no_password(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("SEARCH_STORAGE", url)
    for arguments in COMMANDS:
        said = command(*arguments, code=2)
        assert SECRET not in said.out + said.err
        assert len(said.err.splitlines()) == 1 and said.err.startswith("storage: "), said.err
    in_full = command("status", "--debug", code=2).err
    assert "Traceback" in in_full and SECRET not in in_full


def test_a_child_process_gets_the_url_by_file_where_it_came_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file where the URL came from it, else the URL."""
    url = f"postgresql://me:{SECRET}@db/study"
    (tmp_path / "url").write_text(url + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEARCH_STORAGE_FILE", "url")
    assert environment_for(url)["SEARCH_STORAGE_FILE"] == str(tmp_path / "url")
    assert SECRET not in "".join(environment_for(url).values())
    other = environment_for("sqlite:///x.db")  # a flag named another
    assert other["SEARCH_STORAGE"] == "sqlite:///x.db" and "SEARCH_STORAGE_FILE" not in other
    monkeypatch.delenv("SEARCH_STORAGE_FILE")
    assert environment_for(url) == {**os.environ, "SEARCH_STORAGE": url}
