"""The versions of our tables: which one a database has, and how it gets to the newest.

Each change of the tables is one file in `migrations/versions`, run by Alembic. The number of the last one
is in a table of our own (Optuna has its own, which we leave alone). Only commands that write upgrade a
database; those that read work with every version, so that a read-only user or file can be shown.

Schemas change under a lock: processes that start together on an empty or old database would otherwise
run into each other's CREATE TABLE.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy import Engine, TextClause, exc, text

from storage import tables
from storage.engine import connect, rdb_storage
from storage.errors import StorageError, reason
from storage.url import one_line_errors, redacted, sqlite_file

REVISION = "0004"
"""The newest file in `migrations/versions`."""

OPTUNA_REVISION = "v3.2.0.a"
"""The version of Optuna's tables for which Optuna need not be imported to see whether it can use them."""

VERSION_TABLE = "search_alembic_version"
UNVERSIONED = "0000"
"""Our tables before they had versions: those of revision 0001, or fewer."""

VERSIONS = text(
    f"SELECT (SELECT version_num FROM {VERSION_TABLE}), (SELECT version_num FROM alembic_version)"
)
UNVERSIONED_VERSIONS = text(f"SELECT '{UNVERSIONED}', (SELECT version_num FROM alembic_version)")
SETUP_LOCK = 0x6D736567  # advisory lock of PostgreSQL while schemas change ("mseg")
SETUP_SECONDS = 60  # how long its transaction may stand still, since another one makes the tables meanwhile


def open_database(url: str, *, read_only: bool = False) -> Engine | None:
    """An engine for a database that has our tables, upgraded unless `read_only`; None where it has none.

    Raises:
        StorageError: nothing answers at `url`, or its tables are newer than this program.
    """
    if (path := sqlite_file(url)) is not None and not path.exists():
        return None
    engine = connect(url, read_only=read_only)
    try:
        found = _revision(engine, url)
        if found is not None and (found == REVISION or read_only):
            return engine
    except BaseException:
        engine.dispose()
        raise
    engine.dispose()
    if found is None:
        return None
    prepare(url)
    return connect(url)


def prepare(url: str) -> None:
    """Creates the tables that the database lacks, Optuna's and ours, and upgrades ours."""
    if (path := sqlite_file(url)) is not None:
        with one_line_errors(url):
            path.parent.mkdir(parents=True, exist_ok=True)
    engine = connect(url)
    try:
        # The version is read under the lock, too: a reader and a process that changes the journal of the
        # same SQLite file block each other until one of them gives up.
        with one_line_errors(url), _setup_lock(url):
            if _revision(engine, url) == REVISION:
                return
            if path is not None:
                with engine.connect() as connection:
                    # Outside a transaction, where alone SQLite changes its journal; the file keeps it.
                    connection.connection.driver_connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[union-attr]
            _create_optunas(url)
            try:
                _upgrade(engine)
            except exc.ProgrammingError as error:  # mostly a user without the right to change tables
                raise StorageError(
                    f"storage: {redacted(url)}: {reason(error)}: its tables are of an older version and "
                    "this user may not upgrade it; run the same command once as its owner"
                ) from error
    finally:
        engine.dispose()


def _create_optunas(url: str) -> None:
    """Creates Optuna's tables, again where another program that speaks Optuna did in the same moment."""
    try:
        rdb_storage(url, create_tables=True).engine.dispose()
    except StorageError as error:
        if not isinstance(
            error.__cause__, exc.IntegrityError | exc.OperationalError | exc.ProgrammingError
        ):
            raise
        rdb_storage(url, create_tables=True).engine.dispose()


def _revision(engine: Engine, url: str) -> str | None:
    """The version of our tables; None where there are none.

    Raises:
        StorageError: our tables are newer than this program, or Optuna's fit another Optuna.
    """
    with one_line_errors(url):
        try:
            ours, optunas = _versions(engine, VERSIONS)
        except (exc.OperationalError, exc.ProgrammingError):  # mostly: one of the two tables is missing
            names = sqlalchemy.inspect(engine).get_table_names()
            if VERSION_TABLE in names:  # made in this moment, or there is another error, which is raised
                ours, optunas = _versions(engine, VERSIONS)
            elif tables.studies.name in names:
                ours, optunas = _versions(engine, UNVERSIONED_VERSIONS)
            else:
                return None
    if ours > REVISION:
        raise StorageError(
            f"storage: {redacted(url)}: its tables are of version {ours}, newer than this program's "
            f"{REVISION}; upgrade mseg-search here"
        )
    if optunas != OPTUNA_REVISION:
        rdb_storage(url).engine.dispose()  # raises where the installed Optuna cannot use its tables
    return ours


def _versions(engine: Engine, query: TextClause) -> tuple[str, str | None]:
    with engine.connect() as connection:
        ours, optunas = connection.execute(query).one()
    return ours or UNVERSIONED, optunas


def _upgrade(engine: Engine) -> None:
    """Runs the migrations that the database lacks, in one transaction."""
    from alembic import command
    from alembic.config import Config

    with engine.begin() as connection:
        config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
        config.set_main_option("script_location", "storage:migrations")
        config.set_main_option("path_separator", "os")
        command.upgrade(config, "head")


@contextmanager
def _setup_lock(url: str) -> Iterator[None]:
    if (path := sqlite_file(url)) is not None:
        from filelock import FileLock

        with FileLock(f"{path}.lock"):
            yield
        return
    engine = connect(url)
    try:
        with engine.begin() as connection:  # released with the transaction: PgBouncer keeps no session
            connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{SETUP_SECONDS}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SETUP_LOCK})
            yield
    finally:
        engine.dispose()
