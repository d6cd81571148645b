"""What A and B of `search compare` mean: a trial, a known config, the best, an imported run, a folder.

Two folders need no study and no database. Two trials of a study are compared by what the database holds, so
it does not matter on which machine they were trained. A trial beside a folder, or beside a run imported
from one, is read from the files it wrote, which have the folder's layout.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from search.document.node import show
from search.errors import UserError
from search.recorded_run import CONFIG, HISTORY, OWN, RecordedRun, is_folder, read_run
from search.spec.known import BEST, same_name

if TYPE_CHECKING:
    from search.records import Record
    from search.study.study import Study


class Sides(NamedTuple):
    """The two runs; and the ends of the stages by `report.stages` of their study, if set."""

    a: RecordedRun
    b: RecordedRun
    ends: Sequence[int] | None


def read_sides(a: str, b: str, runs: Path, open_study: Callable[[], "Study"]) -> Sides:
    """The two runs that `a` and `b` mean; the study is opened if one of them is no folder.

    Raises:
        UserError: there is no such run, or it has no score yet.
    """
    folder_a, folder_b = _folder(a), _folder(b)
    if folder_a and folder_b:
        return Sides(read_run(folder_a), read_run(folder_b), None)
    study = open_study()
    vocabulary = study.spec.vocabulary
    recorded_a = read_run(folder_a, vocabulary=vocabulary) if folder_a else _imported(study, a)
    recorded_b = read_run(folder_b, vocabulary=vocabulary) if folder_b else _imported(study, b)
    # A trial beside a folder must use the folder's names of settings.
    from_files = any(side and side.metric != OWN for side in (recorded_a, recorded_b))
    return Sides(
        recorded_a or _trial(study, a, runs, from_files=from_files),
        recorded_b or _trial(study, b, runs, from_files=from_files),
        study.spec.report.stages,
    )


def _folder(name: str) -> Path | None:
    """The folder that `name` means, whether it exists or not; None if it is a number or a name."""
    if "://" in name:  # a path would lose a slash, and with it the mark by which passwords are hidden
        raise UserError(f"compare: {name} is a URL; name a trial, a run or a folder")
    path = Path(name).expanduser() if name.startswith("~/") else Path(name)
    if is_folder(path) and not name.isdigit():
        return path
    return path if os.sep in name else None


def _imported(study: "Study", name: str) -> RecordedRun | None:
    """The imported run of that name; None if it means a trial."""
    if name.isdigit() or name == BEST:
        return None
    from search.imports.imported_runs import read_imported_run

    run = read_imported_run(study, name)
    if run is not None and not run.scores:
        raise UserError(
            f"compare: {show(name)} was imported as a row; without a curve, its noise is not known"
        )
    return run


def _trial(study: "Study", name: str, runs: Path, *, from_files: bool) -> RecordedRun:
    from search.study.folder import folder_of, trial_name
    from search.study.read import read_record
    from search.study.trial_images import trial_images

    also = f", no folder with {CONFIG} and {HISTORY}, no imported run"
    record = read_record(study, trial_number(study, name, "compare", also), "compare")
    unfinished = None if record.state == "complete" else record.state
    if from_files:
        folder = folder_of(study, runs) / trial_name(record.number)
        run = read_run(folder, record.title, study.spec.vocabulary)
        return replace(run, unfinished=unfinished)
    run = stored_run(study, record)
    if not run.finite:
        raise UserError(f"compare: trial {record.number} ({record.state}) has no score yet")
    images = trial_images(study, record.number, (record.best_epoch, record.best_score), runs)
    return replace(run, images=images)


def stored_run(study: "Study", record: "Record") -> RecordedRun:
    """A trial as the database holds it: its settings by the study's names, its scores and nothing else."""
    return RecordedRun(
        name=record.title,
        leaves={**study.spec.space.constants, **record.params, "seed": record.seed},
        scores=record.curve,
        metric=OWN,
        direction=study.spec.study.direction,
        unfinished=None if record.state == "complete" else record.state,
        vocabulary=study.spec.vocabulary,
    )


def trial_number(study: "Study", name: str, flag: str, also: str = "") -> int:
    """The number of the trial called `name`: itself, the best, or the one that ran a known config.

    Raises UserError if there is none; the message begins with `flag`, a command or a flag, and adds `also`:
    what else the name could have meant.
    """
    if re.fullmatch(r"\d{1,9}", name):
        return int(name)
    from search.study.read import read_snapshot

    snapshot = read_snapshot(study)
    if name == BEST and snapshot.best is not None:
        return snapshot.best.number
    for record in (*snapshot.finished, *snapshot.running):
        if record.known and same_name(record.known, name):
            return record.number
    if name == BEST:
        raise UserError(f"{flag}: best: study {study.name!r} has no complete trial yet")
    known = ", ".join(repr(known.name) for known in study.spec.known) or "none"
    raise UserError(
        f"{flag}: {show(name)} is no trial's number{also} and no known config of study "
        f"{study.name!r} that has been started (known: {known})"
    )
