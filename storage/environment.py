"""Numbers that environment variables hold."""

import math
import os

from storage.errors import StorageError


def seconds(name: str, default: float) -> float:
    """The seconds that the variable `name` holds, `default` where it is empty or not set.

    Raises:
        StorageError: it holds something else, or a number that is not above 0.
    """
    text = os.environ.get(name, "").strip()
    try:
        number = float(text) if text else default
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise StorageError(f"{name}: {text[:40]!r} is not a number of seconds above 0; write {default:g}")
    return number
