"""What goes wrong with a database: the errors this package raises, and those of the driver."""

from sqlalchemy import exc

DATABASE_ERRORS: tuple[type[Exception], ...] = (exc.DBAPIError, exc.TimeoutError)
"""What plain SQL raises while the database is away. Optuna's calls raise StorageInternalError."""

NOT_READY = (
    "starting up",
    "shutting down",
    "recovery",
    "too many",
    "connection slots",
    "server_login_retry",
)
"""Words of PostgreSQL and PgBouncer for what passes by itself."""


READ_ONLY = ("readonly database", "read-only transaction", "permission denied")
"""Words of SQLite and PostgreSQL for a user who may not write."""


class StorageError(Exception):
    """The storage URL, or the database behind it, cannot be used: place, value, remedy in one line."""


class UnreachableError(StorageError):
    """The server does not answer, or is not ready yet: trying again may help."""


def root_cause(error: BaseException) -> BaseException:
    """The driver's own error below those that SQLAlchemy and Optuna wrap around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def reason(error: BaseException) -> str:
    """The first line of the driver's own message."""
    cause = root_cause(error)
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]


def may_only_read(error: BaseException) -> bool:
    """Whether a statement failed because this user may not write."""
    return any(words in reason(error) for words in READ_ONLY)


def is_mistake(error: BaseException) -> bool:
    """Whether a database that answers refuses a statement: trying it again does not help.

    SQLite has no types of its own for a table that is missing and a file that may only be read.
    """
    mistakes = (exc.ProgrammingError, exc.DataError, exc.IntegrityError, exc.NotSupportedError)
    words = ("no such table", "no such column", "readonly database")
    return isinstance(error, mistakes) or any(each in reason(error) for each in words)


def may_recover(error: Exception) -> bool:
    """Whether an error of a PostgreSQL server may pass: nobody answered, or it is not ready yet.

    libpq gives a refused connection no code, only the server's words.
    """
    message = str(root_cause(error))
    is_refusal = "FATAL" in message and not any(words in message for words in NOT_READY)
    return isinstance(error, exc.OperationalError) and not is_refusal
