"""`search status`: how far a study is."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli import options as flag
from search.cli.groups import Place
from search.render.output import write_json

if TYPE_CHECKING:
    from search.records import Snapshot
    from search.runtime.signals import Interrupt
    from search.study.study import Study


def status(
    study: flag.StudyName,
    place: Place,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it until the search ends.")] = False,
    as_json: flag.Json = False,
) -> int:
    """Show how far a study is: budget, best, workers, pruning."""
    from search.analysis.pruning_audit import audit
    from search.imports.imported_runs import read_imported
    from search.study.read import read_snapshot

    opened = place.open(study, read_only=True)
    if watch:
        from search.runtime.signals import interruptible
        from search.ui.live import follow

        with interruptible() as interrupt:
            follow(_snapshots(opened, interrupt))
        return interrupt.code if interrupt else 0
    snapshot = read_snapshot(opened, curves_of=("RUNNING", "COMPLETE"))
    pruning = audit([*snapshot.finished, *snapshot.running], snapshot.direction, snapshot.smooth)
    imported = read_imported(opened)
    stages: list[Any] = []
    if opened.spec.study.stages:  # what is retrained takes NumPy and Optuna to read, which cost a second
        from search.retraining.stage_blocks import stage_blocks
        from search.retraining.stages import read_stages

        stages = [each.to_json() for each in read_stages(opened)] if as_json else stage_blocks(opened)
    if as_json:
        beside = {
            "pruning": pruning.to_json(),
            "imported": [run.to_json() for run in imported],
            "stages": stages,
        }
        write_json({**snapshot.to_json(), **beside})
    else:
        from search.render.terminal import show
        from search.ui.status import status_page

        show(status_page(snapshot, pruning, imported, stages))
    return 0


def _snapshots(study: "Study", interrupt: "Interrupt") -> "Iterator[Snapshot]":
    """A study that others work on, about once a second until its budget is used up or a signal came."""
    from search.study.read import read_snapshot, unanswered
    from storage.errors import DATABASE_ERRORS

    snapshot = read_snapshot(study)
    yield snapshot
    while not snapshot.budget.used_up and not interrupt.wait(1.0):
        try:
            snapshot = read_snapshot(study)
        except DATABASE_ERRORS as error:
            snapshot = unanswered(snapshot, error)
        yield snapshot
