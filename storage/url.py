"""Storage URLs: which databases are supported, and how a URL and its errors may be shown.

No password leaves this file: `redacted` is the only form of a URL that a message may contain.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, exc, make_url

from storage.errors import StorageError, UnreachableError, may_recover, reason

SECRET_QUERY_KEYS = {"password", "sslpassword", "passfile"}
FULL_BYTES = 1 << 20  # with less free space than this a disk counts as full: SQLite needs some to write


def parse(url: str) -> URL:
    """`url` with the driver that this package installs; raises StorageError for any other database."""
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
                "storage: other processes cannot read SQLite in memory; use sqlite:///runs/search.db"
            )
        return parsed.set(drivername="sqlite")
    if dialect in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise StorageError(
        f"storage: {dialect!r} is not supported; use sqlite:///FILE or postgresql://HOST/NAME"
    )


def redacted(url: str) -> str:
    """The URL as it may be shown: without a password, wherever in it one may stand."""
    parsed = parse(url)
    query = {
        key: "***" if key.lower() in SECRET_QUERY_KEYS else value for key, value in parsed.query.items()
    }
    return parsed.set(query=query).render_as_string(hide_password=True).replace("+psycopg", "", 1)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for a server."""
    parsed = parse(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


@contextmanager
def one_line_errors(url: str) -> Iterator[None]:
    """Turns an error of the driver into a StorageError: one line, without the password."""
    try:
        yield
    except Exception as error:
        # Optuna's errors are recognised by their module, because a status must not import Optuna.
        from_optuna = type(error).__module__.split(".")[0] == "optuna"
        if not isinstance(error, exc.SQLAlchemyError | OSError) and not from_optuna:
            raise
        message = reason(error)
        password = make_url(url).password
        if password:
            message = message.replace(str(password), "***")
        on_server = sqlite_file(url) is None
        kind = UnreachableError if on_server and may_recover(error) else StorageError
        raise kind(f"storage: {redacted(url)}: {message}; {_remedy(url, message)}") from error


def _remedy(url: str, message: str) -> str:
    path = sqlite_file(url)
    folder = path.absolute().parent if path else Path()
    if path and "disk" in message and folder.is_dir() and shutil.disk_usage(folder).free < FULL_BYTES:
        return f"the disk that holds {folder} is full; free some space on it"
    return "check --storage / SEARCH_STORAGE"
