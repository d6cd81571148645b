"""Which storage and which study a command means. Imports are late, as in the command line."""

import math
import os
import random
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from search.errors import StudyError, UserError
from search.study.secret import from_file, secret

if TYPE_CHECKING:
    from search.study.study import Study

DEFAULT_STORAGE = "sqlite:///{runs}/search.db"
URL, FILE = "SEARCH_STORAGE", "SEARCH_STORAGE_FILE"
LOOK_SECONDS = 2.0  # between two looks for a study that does not exist yet


def check_replaced(text: str) -> None:
    """Raises UserError where a variable stands for itself: quotes, and files of variables, leave it so."""
    for name in re.findall(r"\$\{?(\w+)", text):
        if name in os.environ:
            raise UserError(f"{text[:200]}: ${name} was not replaced by its value; write that out")


def storage_url(given: str | None, runs: Path) -> str:
    """The flag, SEARCH_STORAGE, the content of SEARCH_STORAGE_FILE, or the SQLite file under `runs`.

    An empty flag is refused, since it was meant to name a database; see `search.study.secret` on variables.
    """
    from storage.url import parse

    if given is not None and not given.strip():
        raise UserError("--storage: is empty; give sqlite:///FILE or postgresql://USER@HOST/NAME")
    url = given or secret(URL)
    if url is None and "?" in str(runs):  # the rest of the path would be options of the URL
        raise UserError(f"--runs: {runs}: a path with a ? cannot hold the SQLite file; rename it")
    url = url or DEFAULT_STORAGE.format(runs=runs)
    if url.startswith("sqlite:"):  # in a server's URL a $ may be of a password
        check_replaced(url)
    parse(url)
    return url


def environment_for(url: str) -> dict[str, str]:
    """The environment for a child process that is to use `url`.

    A URL may contain a password, so it is never in argv, and not in an environment if it came from a file.
    """
    others = {name: value for name, value in os.environ.items() if name not in (URL, FILE)}
    if os.environ.get(FILE) and url == from_file(URL):
        return {**others, FILE: str(Path(os.environ[FILE]).expanduser().absolute())}
    return {**others, URL: url}


def resolve_study(url: str, name: str, *, read_only: bool = False, flag: str = "--study") -> "Study":
    """The study `name`; where only its quick profile's exists, that one, with a note on stderr.

    Args:
        flag: which flag gave the name.
    """
    from search.study.open import NAME, find_study, open_study

    quick = f"{name}-quick"
    study = find_study(url, name, read_only=read_only, flag=flag)
    if (
        study is None
        and NAME.fullmatch(quick)
        and (study := find_study(url, quick, read_only=read_only, flag=flag)) is not None
    ):
        print(f"there is no study {name!r} yet; using {quick!r}", file=sys.stderr)
    return study or open_study(url, name, read_only=read_only, flag=flag)


def wait_for_study(url: str, name: str, study_seconds: float, database_seconds: float) -> "Study":
    """As `resolve_study`, but keeps trying: a machine may be up before the database or the study is.

    Prints once what is missing, and raises it when the time is over. What time does not mend, such as a
    wrong password, is raised at once.
    """
    from storage.errors import UnreachableError

    begun, printed = time.monotonic(), ""
    while True:
        try:
            return resolve_study(url, name)
        except (StudyError, UnreachableError) as error:
            patience = database_seconds if isinstance(error, UnreachableError) else study_seconds
            if time.monotonic() - begun >= patience:
                raise
            if str(error) != printed:
                printed = str(error)
                limit = "" if math.isinf(patience) else f" for up to {patience:.0f} s"
                print(f"{printed}; looking again{limit}", file=sys.stderr)
        # Jitter: a hundred workers that were started together must not all ask at once.
        time.sleep(LOOK_SECONDS * random.uniform(0.5, 1.5))
