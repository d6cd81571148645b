"""What must not be seen in `ps`: from an environment variable, or from the file that another one names.

The database's URL may hold a password, and a token is one. So neither is a flag, nor stored with a study.
"""

import os
from pathlib import Path

from search.errors import UserError

LONGEST = 4096  # bytes of a file that holds one
LONGEST_SHOWN = 200  # characters of a path in a message


def secret(variable: str, what: str = "URL") -> str | None:
    """The value of `variable`, else the line in the file that `variable`_FILE names, else None.

    A variable that is empty counts as not set: compose files leave some so. An empty file is refused, since
    it was meant to hold something.

    Args:
        what: what it is, for messages.

    Raises:
        UserError: the file cannot be read, or holds something else than one line.
    """
    return os.environ.get(variable, "").strip() or from_file(variable, what)


def from_file(variable: str, what: str = "URL") -> str | None:
    """The line in the file that `variable`_FILE names; None where that is empty or not set."""
    named = f"{variable}_FILE"
    if not (name := os.environ.get(named, "").strip()):
        return None
    if "://" in name:  # not shown: it may hold a password
        raise UserError(f"{named}: is a URL; it names a file that holds one, and {variable} the URL itself")
    try:
        path = Path(name).expanduser()
        if not path.is_file() and path.exists():
            raise UserError(f"{named}: {name} is no file; name a file with the {what}")
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except (OSError, RuntimeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "no home folder is known"
        raise UserError(
            f"{named}: {name[:LONGEST_SHOWN]}: {problem}; name a file with the {what}"
        ) from error
    try:
        lines = content.decode("utf-8-sig").strip().splitlines()
    except UnicodeDecodeError:
        lines = []
        problem = "is no text"
    else:
        problem = "is empty" if not lines else "has more than one line"
    if len(content) > LONGEST:
        problem = "is too long"
    if len(lines) != 1 or len(content) > LONGEST:
        raise UserError(f"{named}: {name} {problem}; it holds the {what} and nothing else")
    return lines[0]
