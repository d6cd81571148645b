"""`search status`: how far a study is."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli import options as flag
from search.render.output import write_json
from search.study.resolve import resolve_study, storage_url

if TYPE_CHECKING:
    from search.render.document import Block
    from search.study.study import Study


def status(
    study: flag.StudyName,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it until the search ends.")] = False,
    storage: flag.Storage = None,
    runs: flag.Runs = Path("runs"),
    as_json: flag.Json = False,
) -> int:
    """Show how far a study is: budget, best, workers, pruning."""
    from search.analysis.pruning_audit import audit
    from search.imports.imported_runs import read_imported
    from search.study.read import read_snapshot

    opened = resolve_study(storage_url(storage, runs), study, read_only=True)
    if watch:
        return follow(opened)
    snapshot = read_snapshot(opened, curves_of=("RUNNING", "COMPLETE"))
    pruning = audit([*snapshot.finished, *snapshot.running], snapshot.direction, snapshot.smooth)
    imported = read_imported(opened)
    # What is retrained takes NumPy and Optuna to read, which cost a second.
    has_stages = bool(opened.spec.study.stages)
    if as_json:
        beside = {
            "pruning": pruning.to_json(),
            "imported": [run.to_json() for run in imported],
            "stages": _stages(opened) if has_stages else [],
        }
        write_json({**snapshot.to_json(), **beside})
    else:
        from search.render.terminal import show
        from search.ui.status import status_page

        show(status_page(snapshot, pruning, imported, _about_stages(opened) if has_stages else []))
    return 0


def _stages(search: "Study") -> list[dict[str, Any]]:
    from search.retraining.stages import read_stages

    return [stage.to_json() for stage in read_stages(search)]


def _about_stages(search: "Study") -> "list[Block]":
    from search.retraining.stage_blocks import stage_blocks

    return stage_blocks(search)


def follow(study: "Study") -> int:
    """Shows a study that others work on, until its budget is used up or Ctrl-C."""
    from search.runtime.signals import interruptible
    from search.study.read import read_snapshot, unanswered
    from search.ui.live import view
    from storage.errors import DATABASE_ERRORS

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
