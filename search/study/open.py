"""Finding and opening the studies of a database by name."""

import re

from search.errors import StudyError
from search.spec.spec import Spec
from search.study.study import Study
from storage import studies
from storage.schema import open_database
from storage.url import one_line_errors, redacted

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}")
"""What a study may be called: its name is also a folder's, and is typed in commands."""


def find_study(url: str, name: str, *, read_only: bool = False, flag: str = "--study") -> Study | None:
    """The study called `name` at `url`; None where there is none.

    Args:
        read_only: nothing will be written: an older database is not upgraded.
        flag: which flag gave the name.

    Raises:
        StudyError: `name` can be no study's.
    """
    if not NAME.fullmatch(name):
        shown = name if len(name) <= 60 else f"{name[:57]}..."
        raise StudyError(
            f"{flag}: {shown!r} is not a study's name; use up to 120 letters, digits, _ - and ., "
            "with no - or . before them"
        )
    if (engine := open_database(url, read_only=read_only)) is None:
        return None
    with one_line_errors(url):
        row = studies.find(engine, name)
    if row is None:
        engine.dispose()
        return None
    spec = Spec.from_document(dict(row.document), origin=f"study {name!r}")
    return Study(row=row, spec=spec, url=url, engine=engine)


def open_study(url: str, name: str, *, read_only: bool = False, flag: str = "--study") -> Study:
    """The study called `name`; raises StudyError, with the names there are, where there is none.

    Args:
        flag: which flag gave the name.
    """
    study = find_study(url, name, read_only=read_only, flag=flag)
    if study is not None:
        return study
    existing = study_names(url)
    others = f"; there are: {', '.join(existing)}" if existing else ""
    remedy = f"`search start --study {name}` creates it"
    if flag != "--study":
        remedy = f"name one that is there, or omit {flag}"
    raise StudyError(f"{flag}: no study {name!r} in {redacted(url)}{others}; {remedy}")


def study_names(url: str) -> list[str]:
    """Names of the studies at `url`; none where there is no database yet."""
    if (engine := open_database(url, read_only=True)) is None:
        return []
    try:
        with one_line_errors(url):
            return studies.names(engine)
    finally:
        engine.dispose()
