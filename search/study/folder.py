"""The folder of a study below `--runs` belongs to that study alone: a file in it holds the study's token.

Otherwise two databases with a study of the same name, such as the old and the new one after a move to
PostgreSQL, would overwrite each other's trials and remove each other's weights. A copied database has the
same studies, and so the same folders.
"""

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from search.errors import StudyError
from search.study.study import Study
from storage import studies
from storage.schema import open_database
from storage.tables import TOKEN
from storage.url import location

OWNER = "study.json"
TRIAL = re.compile(r"trial-(\d{4,})")
RESERVED = re.compile(r"artifacts|study\.json|.*\.(db|sqlite3?)(-wal|-shm|-journal|\.lock)?", re.IGNORECASE)
"""Names below --runs of other things: the store of artifacts, databases and the files beside them."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The study that a folder belongs to: its token, and the database that it was in."""

    token: str
    database: str


def trial_name(number: int) -> str:
    """The name of a trial's folder: `trial-0017`."""
    return f"trial-{number:04d}"


def folder_of(study: Study, runs: Path) -> Path:
    """The folder of a study below `runs`, whether it exists or not.

    Raises:
        StudyError: it is the folder of another study of that name.
    """
    folder = runs / study.name
    _check(study, folder, read_owner(folder))
    return folder


def claim_folder(study: Study, runs: Path) -> Path:
    """The folder of a study below `runs`, made and marked as its own.

    A study that was deleted from this database leaves its folder to the next one of that name.

    Raises:
        StudyError: it is the folder of another study of that name.
    """
    folder = runs / study.name
    before = read_owner(folder)
    _check(study, folder, before)
    for path in folder.iterdir() if folder.is_dir() else ():
        if TRIAL.fullmatch(path.name) and not path.is_dir():
            raise StudyError(f"--runs: {path} is no folder, but a trial's is called so; move it away")
    owner = Owner(study.token.hex, location(study.url))
    if before is None or before.token != owner.token:
        folder.mkdir(parents=True, exist_ok=True)
        _mark(folder, owner, replace=before is not None)
    return folder_of(study, runs)  # of two studies that claim it in the same moment, one has it


def check_new_study(url: str, name: str, runs: Path, flag: str = "--study") -> None:
    """Raises StudyError where a study that does not exist yet can have no folder of its own."""
    if RESERVED.fullmatch(name):
        raise StudyError(f"{flag}: {name!r} is the name of something else below --runs; use another name")
    folder = runs / name
    owner = read_owner(folder)
    if owner is None:
        numbers = _numbers(folder)
        what = f"trial {max(numbers)} of another study of that name" if numbers else None
    else:
        what = _still_owned(owner, url, name)
    if what is not None:
        raise _belongs_to_another(folder, what)


def read_owner(folder: Path) -> Owner | None:
    """The study that the folder belongs to; None where that is not written down.

    Raises:
        StudyError: what is written there says nothing.
    """
    path = folder / OWNER
    try:
        stored = json.loads(path.read_text())
        return Owner(str(stored["token"]), str(stored["database"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"--runs: {path} does not name a study; use another --runs, or remove it if the folder is this "
            "study's"
        ) from error


def _check(study: Study, folder: Path, owner: Owner | None) -> None:
    """Raises StudyError where the folder, which names `owner`, is not the study's."""
    if owner is None:
        numbers = _numbers(folder)
        # Not marked by an older version: it is this study's unless it holds trials that the study lacks.
        if numbers and max(numbers) >= studies.claimed(study.engine, study.id):
            raise _belongs_to_another(folder, f"trial {max(numbers)} of another study of that name")
        return
    if owner.token == studies.attribute(study.engine, study.id, TOKEN):
        return
    if (what := _still_owned(owner, study.url, study.name)) is not None:
        raise _belongs_to_another(folder, what)


def _still_owned(owner: Owner, url: str, called: str) -> str | None:
    """What a folder holds whose study may still exist under another name than `called`, else None."""
    here = location(url)
    if owner.database != here:
        return f"a study of that name in {owner.database}"
    engine = open_database(url, read_only=True)
    if engine is None:
        return None
    try:
        name = studies.name_of(engine, owner.token)
    finally:
        engine.dispose()
    return None if name in (None, called) else f"study {name!r}, which was renamed"


def _belongs_to_another(folder: Path, what: str) -> StudyError:
    return StudyError(
        f"--runs: {folder} holds {what}; use another --runs or another name, or move that folder away"
    )


def _numbers(folder: Path) -> list[int]:
    """The numbers of the trials that have published files in it."""
    paths = [path for path in (folder.iterdir() if folder.is_dir() else ()) if path.is_dir()]
    found = [(TRIAL.fullmatch(path.name), path) for path in paths]
    return [
        int(match[1])
        for match, path in found
        if match is not None and any(not file.name.startswith(".") for file in path.iterdir())
    ]


def _mark(folder: Path, owner: Owner, *, replace: bool) -> None:
    """Writes down whose folder it is, whole at once; without `replace`, the first of several stays."""
    path, text = folder / OWNER, json.dumps(asdict(owner))
    beside = folder / f".{OWNER}.{owner.token}.{os.getpid()}"
    beside.write_text(text)
    try:
        if replace:
            beside.replace(path)
            return
        os.link(beside, path)
    except FileExistsError:
        pass
    except OSError:  # mostly a file system without hard links
        with suppress(FileExistsError), path.open("x") as file:
            file.write(text)
    finally:
        beside.unlink(missing_ok=True)
