"""What the parts of the API share: where things are, and which errors there are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.errors import SearchError, UserError

PathLike = str | os.PathLike[str]


def place(given: PathLike | None, variable: str) -> Path | None:
    """A path that was given, or that of an environment variable; `~` replaced."""
    text = os.fspath(given) if given is not None else os.environ.get(variable, "").strip()
    return Path(text).expanduser() if text else None


def runs_folder(given: PathLike | None) -> Path:
    """The folder that trials write to, as --runs means it."""
    return place(given, "SEARCH_RUNS") or Path("runs")


@contextmanager
def own_errors() -> Iterator[None]:
    """Raises what goes wrong with a database as errors of `search.errors`, without passwords."""
    try:
        yield
    except Exception as error:
        from sqlalchemy.exc import SQLAlchemyError  # here, since help and completion use no database

        from storage.errors import StorageError, may_only_read, reason
        from storage.url import without_passwords

        if isinstance(error, StorageError):
            raise UserError(without_passwords(str(error))) from error
        if isinstance(error, SQLAlchemyError):
            what = without_passwords(f"storage: {reason(error)}")
            if may_only_read(error):
                raise UserError(f"{what}; this takes a user who may write to the database") from error
            raise SearchError(f"{what}; check --storage / SEARCH_STORAGE") from error
        raise
