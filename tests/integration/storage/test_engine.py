"""Connections: one that stands still, one to a silent server, one to a file that can only be read."""

import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy

from search.api.places import own_errors
from search.errors import SearchError, UserError
from storage import engine as engines
from storage import schema
from storage.errors import DATABASE_ERRORS, StorageError, reason
from storage.url import one_line_errors

LOCK = sqlalchemy.text("SELECT pg_advisory_xact_lock(7)")


def test_a_transaction_that_stands_still_is_ended(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "IDLE_SECONDS", 1)
    frozen, other = engines.connect(postgres_url), engines.connect(postgres_url)
    with frozen.connect() as holder:
        holder.execute(LOCK)
        begun = time.monotonic()
        with other.begin() as connection:
            connection.execute(LOCK)
        assert 0.5 < time.monotonic() - begun < 30
        with pytest.raises(DATABASE_ERRORS):  # and who wakes up finds that out
            holder.execute(sqlalchemy.text("SELECT 1"))
    with frozen.begin() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT 1")) == 1
    frozen.dispose()
    other.dispose()


def test_the_tables_may_take_longer_to_make_than_a_transaction_may_stand_still(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock on that is a transaction, which waits while another one makes them."""
    really = schema.rdb_storage

    def slowly(url: str, **options: bool) -> object:
        time.sleep(1.2)
        return really(url, **options)

    monkeypatch.setattr(engines, "IDLE_SECONDS", 1)
    monkeypatch.setattr(schema, "rdb_storage", slowly)
    schema.prepare(empty_postgres_url)
    engine = schema.open_database(empty_postgres_url)
    assert engine is not None
    engine.dispose()


def test_a_connection_to_a_silent_server_counts_as_broken(postgres_url: str) -> None:
    """A cut cable, which takes root and a network to show: `benchmarks/chaos.py --cuts`."""
    engine = engines.connect(postgres_url)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        given = driver.info.get_parameters()
        query = "SELECT name FROM pg_settings WHERE source = 'session' AND name LIKE 'tcp%'"
        at_the_server = set(connection.scalars(sqlalchemy.text(query)))
    assert int(given["tcp_user_timeout"]) == 1000 * engines.SILENT_SECONDS
    noticed = int(given["keepalives_idle"]) + int(given["keepalives_interval"]) * int(
        given["keepalives_count"]
    )
    assert noticed <= engines.SILENT_SECONDS
    keepalives = {f"tcp_keepalives_{name}" for name in ("idle", "interval", "count")}
    assert at_the_server == {"tcp_user_timeout", *keepalives}, "else it keeps the locks of a lost host"
    engine.dispose()


def test_a_writer_waits_for_another(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    schema.prepare(url)
    first, second = engines.connect(url), engines.connect(url)
    done: list[float] = []

    def write() -> None:
        with second.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE b (x)"))
            done.append(time.monotonic())

    with first.begin() as connection:
        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.3)
        connection.execute(sqlalchemy.text("CREATE TABLE a (x)"))
        released = time.monotonic()
    thread.join(timeout=30)
    assert done and done[0] >= released
    reader = engines.connect(url, read_only=True)
    with first.begin(), reader.connect() as connection:  # who only reads waits for nobody
        assert connection.scalar(sqlalchemy.text("SELECT count(*) FROM a")) == 0


def test_a_commit_of_sqlite_survives_a_power_cut(tmp_path: Path) -> None:
    engine = engines.connect(f"sqlite:///{tmp_path}/x.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "FULL"
    engine.dispose()


def test_a_file_that_can_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a read-only folder (which nothing is for root, hence the patch) no reader may make its files."""
    path = tmp_path / "a study #1.db"  # what a URI would take apart
    schema.prepare(f"sqlite:///{path}")
    beside = Path(f"{path}-shm")
    monkeypatch.setattr(os, "access", lambda *_: False)
    reader = engines.connect(f"sqlite:///{path}", read_only=True)
    with reader.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT count(*) FROM studies")) == 0
        assert not beside.exists()
    writer = engines.connect(f"sqlite:///{path}")
    with writer.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE fresh (x)"))
        assert Path(f"{path}-wal").exists()
        reader = engines.connect(f"sqlite:///{path}", read_only=True)
        with reader.connect() as other:  # somebody writes: what is in the log counts
            other.execute(sqlalchemy.text("SELECT count(*) FROM studies"))
            assert beside.exists()
    with reader.connect() as other:
        assert other.scalar(sqlalchemy.text("SELECT count(*) FROM fresh")) == 0


def test_a_file_that_is_replaced_or_removed_is_noticed(tmp_path: Path) -> None:
    """Its connections would go on writing into a file without a name."""
    path, backup = tmp_path / "x.db", tmp_path / "backup.db"
    schema.prepare(f"sqlite:///{path}")
    shutil.copy(path, backup)
    engine = engines.connect(f"sqlite:///{path}")

    def count(statement: str = "SELECT 1 WHERE false") -> int:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
            return int(connection.exec_driver_sql("SELECT count(*) FROM studies").scalar_one())

    assert count("INSERT INTO studies (study_name) VALUES ('a')") == 1
    for each in tmp_path.glob("x.db*"):
        each.unlink()
    with pytest.raises(sqlalchemy.exc.OperationalError, match="is not there any more"):
        count()
    assert not path.exists(), "no empty file in its place"
    backup.replace(path)
    assert count() == 0, "what was put back counts"
    engine.dispose()


def test_who_may_only_read_is_told_so(tmp_path: Path) -> None:
    engine = engines.connect(f"sqlite:///{tmp_path}/x.db")
    for statement, kind, said in (
        ("INSERT INTO a VALUES (1)", SearchError, "no such table: a; check --storage / SEARCH_STORAGE"),
        (
            "CREATE TABLE a (x)",
            UserError,
            "attempt to write a readonly database; this takes a user who may",
        ),
    ):
        with pytest.raises(kind, match=f"^storage: {said}"), own_errors(), engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA query_only=ON")
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    error = sqlalchemy.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))
    error.__cause__ = error.orig
    assert reason(error) == "database or disk is full"
    for free, said in (
        (0, f"the disk that holds {tmp_path} is full; free some space on it"),
        (1 << 40, "--storage"),
    ):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        with pytest.raises(StorageError) as told, one_line_errors(url):
            raise error
        assert f"{tmp_path}/x.db: database or disk is full; " in str(told.value) and said in str(told.value)
