"""Which storage and which study a command means; everything is imported late, like in the command line."""

import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from search.errors import StudyError, UserError

if TYPE_CHECKING:
    from search.study import Study

DEFAULT_STORAGE = "sqlite:///{runs}/search.db"
LOOK_SECONDS = 2.0  # between two looks for a study that is not there yet


def storage_url(given: str | None, runs: Path) -> str:
    """The flag, SEARCH_STORAGE, the content of SEARCH_STORAGE_FILE, or the SQLite file under `runs`."""
    from storage.engine import parse

    url = given or os.environ.get("SEARCH_STORAGE")
    if not url and (file := os.environ.get("SEARCH_STORAGE_FILE")):
        try:
            url = Path(file).read_text().strip()
        except OSError as error:
            raise UserError(
                f"SEARCH_STORAGE_FILE: {file}: {error.strerror}; name a file with the URL"
            ) from error
    url = url or DEFAULT_STORAGE.format(runs=runs)
    parse(url)
    return url


def named(url: str, name: str, *, read_only: bool = False) -> "Study":
    """The study `name`; where only its quick twin exists, that one, and says so."""
    from search.study import find_study, open_study

    quick = f"{name}-quick"
    study = find_study(url, name, read_only=read_only)
    if study is None and (study := find_study(url, quick, read_only=read_only)) is not None:
        print(f"there is no study {name!r} yet; using {quick!r}", file=sys.stderr)
    return study or open_study(url, name)


def awaited(url: str, name: str, seconds: float) -> "Study":
    """`named`, looking for up to `seconds`: a machine may be up before the database or the study is.

    What is missing is said once, and raised in the end. A signal meanwhile ends the process.
    """
    from search.signals import interruptible
    from storage.engine import DATABASE_ERRORS, StorageError

    missing: tuple[type[Exception], ...] = (StudyError, StorageError, *DATABASE_ERRORS)
    end = time.monotonic() + seconds
    said = ""
    with interruptible() as interrupt:
        while not interrupt:
            try:
                study = named(url, name)
            except missing as error:
                if time.monotonic() >= end:
                    raise
                if (text := str(error).splitlines()[0]) != said:
                    said = text
                    print(f"{said}; looking again for up to {seconds:.0f} s", file=sys.stderr)
            else:
                if not interrupt:
                    return study
            # Jitter: a hundred workers that were started together must not knock in step.
            interrupt.wait(LOOK_SECONDS * random.uniform(0.5, 1.5))
    raise SystemExit(interrupt.code)
