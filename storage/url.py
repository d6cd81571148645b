"""Storage URLs: which databases are supported, and how a URL and its errors may be shown.

No password leaves this file: `redacted` is the only form of a URL that a message may contain, and
`without_passwords` goes over every message once more. Both decide by position. A password is never searched
for by its letters: that would mark them in the rest of the message, and so reveal them.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, exc, make_url

from storage.errors import StorageError, UnreachableError, may_recover, reason

SHOWN_QUERY_KEYS = {
    "application_name",
    "channel_binding",
    "connect_timeout",
    "gssencmode",
    "host",
    "mode",
    "port",
    "sslcert",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "timeout",
    "uri",
}
"""Whose values are no secrets. Everything else behind a `?` may be one, a mistyped name as well."""

PLAIN_VALUE = re.compile(r"[A-Za-z0-9._/,-]*(:[0-9]{1,5})?")
WITH_USER = re.compile(r"(\w+://[^\s:/@\[]*):\S*@")
WITHOUT_HOST = re.compile(r"(\w+://[^\s:/@\[]*):(?![0-9]{1,5}(?![\w-]))[^\s/@]+(?!\S*@)")
IN_QUERY = re.compile(r"([?&]\w*(?:passw|passfile|secret|token)\w*=)[^&\s]*", re.IGNORECASE)
"""Where a password is in a URL within any text: before the last @, for a port, behind a `?`."""

FULL_BYTES = 1 << 20  # with less free space than this a disk counts as full: SQLite needs some to write
HIGHEST_PORT = 65535


def parse(url: str) -> URL:
    """`url` with the driver that this package installs, `~` replaced by the home folder.

    Raises:
        StorageError: another database, or no URL that can be read in one way only.
    """
    try:
        parsed = make_url(url) if url.isprintable() else None
    except (exc.ArgumentError, ValueError):
        # Not as the cause: with --debug its text would be shown, and that may hold the URL.
        parsed = None
    if parsed is None or (parsed.port or 0) > HIGHEST_PORT:
        raise StorageError(
            "storage: not a database URL; use sqlite:///runs/search.db or postgresql://user@host/name"
        )
    dialect = parsed.get_backend_name()
    if dialect == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise StorageError(
                "storage: other processes cannot read SQLite in memory; use sqlite:///runs/search.db"
            )
        if parsed.host or parsed.username:
            raise StorageError("storage: sqlite has no host; use three slashes, sqlite:///runs/search.db")
        return parsed.set(drivername="sqlite", database=_expanded(parsed.database))
    if dialect in ("postgresql", "postgres"):
        if url.count("@") > (parsed.username is not None):
            raise StorageError(
                f"storage: {_raw_redacted(url)}: has an @ that is not the one before the host; in a user's "
                "name, a password or an option write @ as %40, / as %2F and : as %3A"
            )
        return parsed.set(drivername="postgresql+psycopg")
    raise StorageError(
        f"storage: {dialect!r} is not supported; use sqlite:///FILE or postgresql://HOST/NAME"
    )


def _expanded(path: str) -> str:
    """`path` with a `~` at its beginning replaced."""
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        raise StorageError(
            f"storage: no home folder is known for {Path(path).parts[0]!r}; write it out"
        ) from error


def _raw_redacted(url: str) -> str:
    """For a URL that can be read in two ways: nothing before its last @ and nothing behind a `?`."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://***@{rest.rpartition('@')[2].partition('?')[0]}"


def redacted(url: str) -> str:
    """The URL as it may be shown: without a password, wherever it has one."""
    parsed = parse(url)
    query = {
        key: value
        for key, value in parsed.query.items()
        if key in SHOWN_QUERY_KEYS and isinstance(value, str) and PLAIN_VALUE.fullmatch(value)
    }
    hidden = len(query) < len(parsed.query)
    if parsed.username and ":" in parsed.username:
        parsed = parsed.set(username="***")
    shown = parsed.set(query=query).render_as_string(hide_password=True).replace("+psycopg", "", 1)
    return f"{shown}{'&' if query else '?'}***" if hidden else shown


def without_passwords(text: str) -> str:
    """Any text that may be shown: of a URL in it with a password, nothing from that to its last @."""
    text = WITHOUT_HOST.sub(r"\1:***", WITH_USER.sub(r"\1:***@", text))
    return IN_QUERY.sub(r"\1***", text)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for a server."""
    parsed = parse(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def location(url: str) -> str:
    """Where a database is, without who asks and how: the same for every URL of it from this machine."""
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        return str(Path(str(parsed.database)).resolve())
    host = parsed.host or parsed.query.get("host") or "localhost"
    return f"postgresql://{host}:{parsed.port or 5432}/{parsed.database or parsed.username or ''}"


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
        message = without_passwords(reason(error))  # libpq's own messages hold none
        on_server = sqlite_file(url) is None
        kind = UnreachableError if on_server and may_recover(error) else StorageError
        raise kind(f"storage: {redacted(url)}: {message}; {_remedy(url, message)}") from error


def _remedy(url: str, message: str) -> str:
    path = sqlite_file(url)
    folder = path.absolute().parent if path else Path()
    if path and "disk" in message and folder.is_dir() and shutil.disk_usage(folder).free < FULL_BYTES:
        return f"the disk that holds {folder} is full; free some space on it"
    return "check --storage / SEARCH_STORAGE"
