"""`search best`: the best complete trial of a study."""

from pathlib import Path
from typing import TYPE_CHECKING

from search.cli import options as flag
from search.cli.groups import Place
from search.errors import StudyError
from search.render.output import write_json

if TYPE_CHECKING:
    from search.study.study import Study


def best(
    study: flag.StudyName,
    place: Place,
    as_json: flag.Json = False,
) -> int:
    """Show the best complete trial: value, parameters, files."""
    from search.render.terminal import show
    from search.results.winner import best_of, fresh_verdict
    from search.study.read import read_record, read_snapshot
    from search.ui.best import best_summary

    opened = place.open(study, read_only=True)
    snapshot = read_snapshot(opened)
    found = best_of(opened, snapshot)
    if as_json:
        write_json(read_record(opened, found.number, "best").to_json())
    else:
        folder = _folder(opened, place.runs, found.number)
        show(best_summary(found, snapshot, folder, fresh_verdict(opened)))
    return 0


def _folder(study: "Study", runs: Path, number: int) -> Path | None:
    """The trial's folder; None where this machine has none of this study."""
    from search.study.folder import folder_of, trial_name

    try:
        folder = folder_of(study, runs) / trial_name(number)
    except StudyError:
        return None
    return folder if folder.is_dir() else None
