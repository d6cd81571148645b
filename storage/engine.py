"""A storage URL -> connections that behave the same on SQLite and on PostgreSQL.

- SQLite runs in WAL mode and every transaction that may write begins with BEGIN IMMEDIATE: without
  it two workers can claim one trial, because SQLite ignores SELECT .. FOR UPDATE.
- PostgreSQL connections are tested before use unless they have just worked: a restarted server must not
  surface as an error. They prepare no statements on the server, so that PgBouncer in transaction mode
  works in front of it. The server ends a transaction that is idle: a frozen machine must not keep
  everybody's locks.
"""

import os
import sqlite3
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import URL, Engine, event, exc

from storage.errors import StorageError
from storage.url import one_line_errors, parse, redacted

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

FRESH_SECONDS = 1.0  # a connection that was used this recently is not tested again
BUSY_SECONDS = 60  # how long a SQLite connection waits for another writer
CONNECT_SECONDS = 10  # how long a PostgreSQL server may take to answer
SILENT_SECONDS = 6  # how long it may acknowledge nothing before a connection to it counts as broken
# How long a transaction may be idle before PostgreSQL ends it. Less than a lease, usually 30 s: nobody
# claims a trial while a frozen process has the study's lock.
IDLE_SECONDS = 10


def connect(url: str, *, read_only: bool = False) -> Engine:
    """An engine for plain SQL. `read_only` skips the write lock that SQLite otherwise takes."""
    parsed = _absolute(parse(url))
    parsed = _readable(parsed) if read_only else parsed
    engine = sqlalchemy.create_engine(parsed, **_engine_arguments(parsed))
    _listen(engine, begin="BEGIN" if read_only else "BEGIN IMMEDIATE")
    return engine


def _absolute(url: URL) -> URL:
    """The same database, wherever the working folder is when a connection is opened later."""
    path = str(url.database)
    if url.get_backend_name() != "sqlite" or path.startswith("file:"):
        return url
    return url.set(database=str(Path(path).absolute()))


def _readable(url: URL) -> URL:
    """The same database, without its write-ahead log where this user can write nothing beside the file.

    Readers of a log share a file beside it, which nobody can make in a read-only folder. A log that exists
    belongs to a writer, and is read.
    """
    path = Path(str(url.database))
    if url.get_backend_name() != "sqlite" or os.access(path.parent, os.W_OK):
        return url
    if Path(f"{path}-wal").exists():
        return url
    return url.set(database=f"file:{quote(str(path.absolute()))}", query={"immutable": "1", "uri": "true"})


def single_statements(engine: Engine) -> Engine:
    """The same engine for statements that are a transaction by themselves.

    On PostgreSQL they save the round trips of BEGIN and COMMIT; on SQLite those cost nothing.
    """
    if engine.dialect.name != "postgresql":
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def optuna_storage(url: str) -> "BaseStorage":
    """Optuna's storage over `url`, finished trials cached, with our locking. Call `prepare` first."""
    from optuna.storages import get_storage

    return get_storage(rdb_storage(url))


def rdb_storage(url: str, *, create_tables: bool = False) -> "RDBStorage":
    """Optuna's own storage with our locking.

    Raises:
        StorageError: Optuna's tables are of another version than the installed Optuna.
    """
    import optuna
    from optuna.storages import RDBStorage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parsed = _absolute(parse(url))
    with one_line_errors(url), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # alembic's note on path separators
        storage = RDBStorage(
            parsed.render_as_string(hide_password=False),
            engine_kwargs=_engine_arguments(parsed),
            skip_table_creation=not create_tables,
            skip_compatibility_check=True,  # checked below: Optuna's own message has five lines
        )
        current, head = storage.get_current_version(), storage.get_head_version()
        is_older = current in storage.get_all_versions()
        _listen(storage.engine, begin="BEGIN IMMEDIATE")
        storage.engine.dispose()  # connections made before we listened
    if current != head:
        remedy = "`optuna storage upgrade --storage URL` upgrades them" if is_older else "upgrade optuna"
        raise StorageError(
            f"storage: {redacted(url)}: Optuna's tables are of version {current}, "
            f"the installed Optuna {optuna.__version__} needs {head}; {remedy}"
        )
    return storage


def _engine_arguments(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    return {
        "pool_size": 1,
        "max_overflow": 1,
        "connect_args": {
            "connect_timeout": CONNECT_SECONDS,
            # A cable that is cut closes no connection: without these, TCP waits for a quarter of an hour.
            "tcp_user_timeout": SILENT_SECONDS * 1000,
            "keepalives_idle": SILENT_SECONDS // 2,
            "keepalives_interval": SILENT_SECONDS // 6,
            "keepalives_count": 3,
            "prepare_threshold": None,
            "application_name": "mseg-search",
        },
    }


def _listen(engine: Engine, begin: str) -> None:
    """Sets up each connection; a SQLite engine then begins its transactions itself, with `begin`."""
    if engine.dialect.name == "postgresql":
        _listen_to_server(engine)
        return

    path = str(engine.url.database)
    was_there = _identity(path) is not None

    @event.listens_for(engine, "do_connect")
    def connect(*_: Any) -> None:
        if was_there and _identity(path) is None:  # SQLite would make an empty file
            raise sqlite3.OperationalError(f"{path} is not there any more")

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        record.info["file"] = _identity(path)
        connection.isolation_level = None  # the driver's own late BEGIN lets two workers claim one trial
        connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        # NORMAL would lose the last commits in a power cut, epochs that a checkpoint counts as reported.
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "checkout")
    def find(connection: Any, record: Any, proxy: object) -> None:
        # A connection to a file that was replaced or removed goes on writing where nobody reads.
        present = _identity(path)
        if record.info["file"] is None:  # it is made by the first statement
            record.info["file"] = present
        elif present != record.info["file"]:
            raise exc.DisconnectionError

    @event.listens_for(engine, "begin")
    def began(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql(begin)


def _identity(path: str) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None where there is none. (0, 0) of a URI."""
    if path.startswith("file:"):
        return 0, 0
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _listen_to_server(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def limit_silence(connection: Any, record: Any) -> None:
        # Not as options of the connection: PgBouncer refuses those.
        settings = {
            "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
            # The server looks for a cut cable as well: the locks of a transaction stay until it finds one.
            "tcp_user_timeout": f"{SILENT_SECONDS}s",
            "tcp_keepalives_idle": f"{SILENT_SECONDS // 2}s",
            "tcp_keepalives_interval": f"{SILENT_SECONDS // 6}s",
            "tcp_keepalives_count": "3",
        }
        connection.autocommit = True
        connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in settings.items()))
        connection.autocommit = False
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkin")
    def remember_use(connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def test(connection: Any, record: Any, proxy: object) -> None:
        if time.monotonic() - record.info.get("used", 0.0) < FRESH_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise exc.DisconnectionError from error  # the pool tries another one
