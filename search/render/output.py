"""What a command leaves: data on stdout, words on stderr."""

import json
import sys
from typing import Any


def write_json(value: Any) -> None:
    """One JSON value on one line; it may hold no NaN and no infinity."""
    print(json.dumps(value, allow_nan=False), flush=True)


def say(text: str) -> None:
    """Prints a line to stderr; stdout is for data."""
    print(text, file=sys.stderr)
