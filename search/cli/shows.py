"""The commands that show a study, a part of the command line: parse, one call, an exit code."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Json, Runs, Storage, StudyName
from search.errors import UserError, no_trial, none_complete
from search.render.output import write_json
from search.study.resolve import resolve_study, storage_url

if TYPE_CHECKING:
    from search.study.study import Study


def status(
    study: StudyName,
    storage: Storage = None,
    runs: Runs = Path("runs"),
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until the search ends.")] = False,
    as_json: Json = False,
) -> int:
    """How far a study is: budget, best, workers, what pruning did."""
    from search.analysis.pruning_audit import audit
    from search.imports.imported_runs import read_imported
    from search.study.read import read_snapshot

    found = resolve_study(storage_url(storage, runs), study, read_only=True)
    if watch:
        return follow(found)
    snapshot = read_snapshot(found, curves_of=("RUNNING", "COMPLETE"))
    pruning = audit([*snapshot.finished, *snapshot.running], snapshot.direction, snapshot.smooth)
    imported = read_imported(found)
    if as_json:
        beside = {"pruning": pruning.to_json(), "imported": [run.to_json() for run in imported]}
        write_json({**snapshot.to_json(), **beside})
    else:
        from search.render.terminal import show
        from search.ui.status import status_page

        show(status_page(snapshot, pruning, imported))
    return 0


def trials(
    study: StudyName,
    number: Annotated[int | None, typer.Argument(help="One trial in full.", min=0)] = None,
    storage: Storage = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> int:
    """All trials, or one in full: parameters, curve, why it ended."""
    from search.imports.imported_runs import read_imported
    from search.render.terminal import show
    from search.study.read import read_records, read_snapshot
    from search.ui.trials import trial_detail, trials_page

    found = resolve_study(storage_url(storage, runs), study, read_only=True)
    records = read_records(found, number)
    if number is not None and not records:
        raise no_trial("trials", number, found.name)
    if as_json:
        write_json([record.to_json() for record in records])
    elif number is not None:
        show(trial_detail(records[0]))
    else:
        best = read_snapshot(found).best
        show(trials_page(records, best.number if best else None, read_imported(found)))
    return 0


def best(
    study: StudyName, storage: Storage = None, runs: Runs = Path("runs"), as_json: Json = False
) -> int:
    """The best complete trial: its value, its parameters, its files."""
    from search.render.terminal import show
    from search.study.read import read_record, read_snapshot
    from search.ui.best import best_summary

    found = resolve_study(storage_url(storage, runs), study, read_only=True)
    snapshot = read_snapshot(found)
    if snapshot.answer is not None:
        raise UserError(
            f"best: of a config's seeds the best is luck; {snapshot.answer} says what came of it"
        )
    if snapshot.best is None:
        raise none_complete(found.name)
    record = read_record(found, snapshot.best.number) or snapshot.best
    if as_json:
        write_json(record.to_json())
    else:
        folder = runs / found.name / f"trial-{record.number:04d}"
        settings = found.spec.study
        show(
            best_summary(
                record,
                snapshot.best_known,
                folder if folder.is_dir() else None,
                direction=settings.direction,
                smooth=settings.smooth,
                target=settings.target,
            )
        )
    return 0


def follow(study: "Study") -> int:
    """Shows a study that others work on, until its budget is used up or Ctrl-C."""
    from search.runtime.signals import interruptible
    from search.study.read import read_snapshot, unanswered
    from search.ui.live import view
    from storage.engine import DATABASE_ERRORS

    snapshot = read_snapshot(study)
    with interruptible() as interrupt, view(sys.stderr) as live:
        while True:
            live.update(snapshot)
            if snapshot.budget.used_up:
                return 0
            if interrupt.wait(1.0):
                return interrupt.code
            try:
                snapshot = read_snapshot(study)
            except DATABASE_ERRORS as error:
                snapshot = unanswered(snapshot, error)


def add_to(app: typer.Typer) -> None:
    """Makes them commands of `app`."""
    for command in (status, trials, best):
        app.command()(command)
