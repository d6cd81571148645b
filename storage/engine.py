"""A storage URL -> connections that behave the same on SQLite and on PostgreSQL.

- SQLite runs in WAL mode and every transaction that may write begins with BEGIN IMMEDIATE: without
  it two workers can claim one trial, because SQLite ignores SELECT .. FOR UPDATE.
- PostgreSQL connections are tested before use, unless they have just worked: a restarted server must not
  surface as an error. They prepare nothing on the server, so that PgBouncer in transaction mode works in
  front. A transaction that stands still is ended by the server: a frozen machine must not keep
  everybody's locks.
- Schemas are created under a lock: processes that start together on an empty database would
  otherwise crash in each other's CREATE TABLE.
- A password is in no message: `redacted` is the only form of a URL that leaves this file.
"""

import fcntl
import os
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import URL, Engine, event, exc, make_url, text

from storage import tables

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

FRESH_SECONDS = 1.0  # how long after its last use a connection is taken to work without being tested
BUSY_SECONDS = 60  # how long a SQLite connection waits for another writer
CONNECT_SECONDS = 10  # how long a PostgreSQL server may take to answer
SILENT_SECONDS = 6  # how long it may acknowledge nothing before a connection to it counts as broken
IDLE_SECONDS = 60  # how long a transaction may stand still before PostgreSQL ends it
FULL_BYTES = 1 << 20  # a disk with less room than this is full: a database that writes needs some of it
SETUP_LOCK = 0x6D736567  # advisory lock of PostgreSQL while schemas are created ("mseg")

NOT_READY = (
    "starting up",
    "shutting down",
    "recovery",
    "too many",
    "connection slots",
    "server_login_retry",
)
"""Words of PostgreSQL and PgBouncer for what passes by itself."""

DATABASE_ERRORS: tuple[type[Exception], ...] = (exc.DBAPIError, exc.TimeoutError)
"""What plain SQL raises while the database is away. Optuna's calls raise StorageInternalError."""

SECRET_QUERY_KEYS = {"password", "sslpassword", "passfile"}


class StorageError(Exception):
    """The storage URL, or the database behind it, cannot be used: place, value, remedy in one line."""


class UnreachableError(StorageError):
    """Nobody answers, or nobody can answer now: trying again may help."""


def parse(url: str) -> URL:
    """`url` with the driver this package installs; raises StorageError for any other database."""
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise StorageError(
            "storage: not a database URL; use sqlite:///runs/search.db or postgresql://user@host/name"
        ) from error
    dialect = parsed.get_backend_name()
    if dialect == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise StorageError(
                "storage: SQLite in memory has no other readers; use sqlite:///runs/search.db"
            )
        return parsed.set(drivername="sqlite")
    if dialect in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise StorageError(
        f"storage: {dialect!r} is not supported; use sqlite:///FILE or postgresql://HOST/NAME"
    )


def redacted(url: str) -> str:
    """The URL as it may be shown: no password, wherever in it one may stand."""
    parsed = parse(url)
    query = {
        key: "***" if key.lower() in SECRET_QUERY_KEYS else value for key, value in parsed.query.items()
    }
    return parsed.set(query=query).render_as_string(hide_password=True).replace("+psycopg", "", 1)


def connect(url: str, *, read_only: bool = False) -> Engine:
    """An engine for plain SQL. `read_only` skips the write lock that SQLite otherwise takes."""
    parsed = _readable(parse(url)) if read_only else parse(url)
    engine = sqlalchemy.create_engine(parsed, **_engine_arguments(parsed))
    _listen(engine, begin="BEGIN" if read_only else "BEGIN IMMEDIATE")
    return engine


def _readable(url: URL) -> URL:
    """The same database; a SQLite file that nobody here can write to is read without its log.

    Its readers share a file beside it, which in a read-only folder nobody can make. A log that is there
    belongs to somebody who writes, and is read.
    """
    path = Path(str(url.database))
    if url.get_backend_name() != "sqlite" or os.access(path.parent, os.W_OK):
        return url
    if Path(f"{path}-wal").exists():
        return url
    return url.set(database=f"file:{quote(str(path.absolute()))}", query={"immutable": "1", "uri": "true"})


def single_statements(engine: Engine) -> Engine:
    """The same engine for statements that are a transaction by themselves.

    PostgreSQL saves them the round trips of BEGIN and COMMIT; in SQLite they cost nothing.
    """
    if engine.dialect.name != "postgresql":
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def prepare(url: str) -> None:
    """Creates what is missing of both schemas, one process at a time; harmless where all is there."""
    from optuna.storages import RDBStorage

    with in_one_line(url), _setup_lock(url):
        parsed = parse(url)
        engine = connect(url)
        if parsed.get_backend_name() == "sqlite":
            with engine.connect() as connection:
                # Outside a transaction, where alone SQLite changes its journal; it stays so.
                connection.connection.driver_connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[union-attr]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # alembic's note on path separators
            RDBStorage(
                parsed.render_as_string(hide_password=False),
                engine_kwargs=_engine_arguments(parsed),
            ).engine.dispose()
        tables.ours.create_all(engine)
        engine.dispose()


def complete(url: str) -> None:
    """Creates what a database that an older version made lacks of our tables."""
    with in_one_line(url):
        engine = connect(url)
        try:
            if set(tables.ours.tables) <= set(sqlalchemy.inspect(engine).get_table_names()):
                return
            with _setup_lock(url):
                tables.ours.create_all(engine)
        finally:
            engine.dispose()


def exists(url: str) -> bool:
    """Whether a database with our tables answers at `url`; raises StorageError where none can."""
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        return False
    with in_one_line(url):
        engine = connect(url, read_only=True)
        try:
            return sqlalchemy.inspect(engine).has_table(tables.studies.name)
        finally:
            engine.dispose()


def optuna_storage(url: str) -> "BaseStorage":
    """Optuna's storage over `url`, finished trials cached, with our locking. Call `prepare` first."""
    import optuna
    from optuna.storages import RDBStorage, get_storage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parsed = parse(url)
    with in_one_line(url):
        rdb = RDBStorage(
            parsed.render_as_string(hide_password=False),
            engine_kwargs=_engine_arguments(parsed),
            skip_table_creation=True,
        )
        _listen(rdb.engine, begin="BEGIN IMMEDIATE")
        rdb.engine.dispose()  # connections made before we listened
    return get_storage(rdb)


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

        @event.listens_for(engine, "connect")
        def limited(connection: Any, record: Any) -> None:
            # Not as an option of the connection: PgBouncer refuses those.
            connection.autocommit = True
            connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
            connection.autocommit = False
            record.info["used"] = time.monotonic()

        @event.listens_for(engine, "checkin")
        def returned(connection: Any, record: Any) -> None:
            record.info["used"] = time.monotonic()

        @event.listens_for(engine, "checkout")
        def tested(connection: Any, record: Any, proxy: object) -> None:
            if time.monotonic() - record.info.get("used", 0.0) < FRESH_SECONDS:
                return
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise exc.DisconnectionError from error  # the pool tries another one

        return

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: object) -> None:
        connection.isolation_level = None  # the driver's own late BEGIN is what lets two claim one
        connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def began(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql(begin)


@contextmanager
def _setup_lock(url: str) -> Iterator[None]:
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(str(parsed.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        with Path(f"{path}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    engine = connect(url)
    try:
        with engine.begin() as connection:  # released with the transaction: PgBouncer keeps no session
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SETUP_LOCK})
            yield
    finally:
        engine.dispose()


@contextmanager
def in_one_line(url: str) -> Iterator[None]:
    """Turns what a driver says at length into a StorageError: one line, without the password."""
    try:
        yield
    except Exception as error:
        # Optuna's own errors are known by their module: a status must not import Optuna to look.
        if not isinstance(error, exc.SQLAlchemyError | OSError) and not _is_from_optuna(error):
            raise
        cause = _root(error)
        first = reason(error)
        password = make_url(url).password
        if password:
            first = first.replace(str(password), "***")
        kind = UnreachableError if _may_recover(error, url, str(cause)) else StorageError
        raise kind(f"storage: {redacted(url)}: {first}; {_remedy(url, first)}") from error


def reason(error: BaseException) -> str:
    """What the driver said, on one line."""
    cause = _root(error)
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _remedy(url: str, said: str) -> str:
    parsed = parse(url)
    folder = Path(str(parsed.database)).absolute().parent
    on_disk = parsed.get_backend_name() == "sqlite" and folder.is_dir()
    if on_disk and "disk" in said and shutil.disk_usage(folder).free < FULL_BYTES:
        return f"the disk that holds {folder} is full; make room on it"
    return "check --storage / SEARCH_STORAGE"


def _may_recover(error: Exception, url: str, said: str) -> bool:
    """Whether a server is away for a while: none answered, or it answers that it is not ready.

    libpq gives a refused connection no code, only the server's words.
    """
    if not isinstance(error, exc.OperationalError) or parse(url).get_backend_name() != "postgresql":
        return False
    return "FATAL" not in said or any(word in said for word in NOT_READY)


def _is_from_optuna(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] == "optuna"
