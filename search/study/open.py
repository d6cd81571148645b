"""Finding and opening the studies of a database by name."""

import re

from search.errors import StudyError
from search.spec.spec import Spec
from search.study.study import Study
from storage import engine as engines
from storage import studies

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}")
"""What a study may be called: its name is a folder's, too, and stands in commands."""


def find_study(url: str, name: str, *, read_only: bool = False, flag: str = "--study") -> Study | None:
    """The study called `name` at `url`, if there is one; raises StudyError for what is no name.

    Args:
        flag: what the name was given by.
    """
    if not NAME.fullmatch(name):
        shown = name if len(name) <= 60 else f"{name[:57]}..."
        raise StudyError(
            f"{flag}: {shown!r} is not a study's name; use up to 120 letters, digits, _ - and ., "
            "with no - or . before them"
        )
    if not engines.exists(url):
        return None
    engine = engines.connect(url, read_only=read_only)
    with engines.in_one_line(url):
        row = studies.find(engine, name)
    if row is None:
        engine.dispose()
        return None
    spec = Spec.from_document(dict(row.document), origin=f"study {name!r}")
    return Study(row=row, spec=spec, url=url, engine=engine)


def open_study(url: str, name: str, *, read_only: bool = False) -> Study:
    """The study called `name`; raises StudyError, with the names there are, where there is none."""
    study = find_study(url, name, read_only=read_only)
    if study is not None:
        return study
    there = study_names(url)
    others = f"; there are: {', '.join(there)}" if there else ""
    raise StudyError(
        f"--study: no study {name!r} in {engines.redacted(url)}{others}; "
        f"`search start --study {name}` makes it"
    )


def study_names(url: str) -> list[str]:
    """Names of the studies at `url`; none where there is no database yet."""
    if not engines.exists(url):
        return []
    engine = engines.connect(url, read_only=True)
    try:
        with engines.in_one_line(url):
            return studies.names(engine)
    finally:
        engine.dispose()
