"""Connections: what a process that freezes in the middle of a transaction does to the others."""

import threading
import time

import pytest
import sqlalchemy

from storage import engine as engines
from storage.engine import DATABASE_ERRORS

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


def test_a_connection_to_a_silent_server_counts_as_broken(postgres_url: str) -> None:
    """A cut cable, which takes root and a network to show: `benchmarks/chaos.py --cuts`."""
    engine = engines.connect(postgres_url)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        given = driver.info.get_parameters()
    assert int(given["tcp_user_timeout"]) == 1000 * engines.SILENT_SECONDS
    noticed = int(given["keepalives_idle"]) + int(given["keepalives_interval"]) * int(
        given["keepalives_count"]
    )
    assert noticed <= engines.SILENT_SECONDS
    engine.dispose()


def test_a_writer_waits_for_another(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    engines.prepare(url)
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
