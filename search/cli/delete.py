"""`search delete`: delete a study, and with it what retrains its trials."""

import sys
from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.groups import Place
from search.render.output import say, write_json


def delete(
    study: flag.StudyName,
    place: Place,
    files: Annotated[
        bool,
        typer.Option(
            "--files", help="Also remove what its trials have written below --runs and to --artifacts."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
    artifacts: flag.Artifacts = None,
    as_json: flag.Json = False,
) -> int:
    """Delete a study, and the studies that retrain its trials.

    Refused while a worker trains one of them. Files that no study has written stay.
    """
    from search.launcher import deletion
    from search.study.read import read_snapshot

    doomed = deletion.with_retraining(place.url, study)
    count = sum(read_snapshot(each).budget.claimed for each in doomed)
    others = [each.name for each in doomed[1:]]
    retraining = f", and {', '.join(others)}, which retrain its trials" if others else ""
    what = f"study {study!r}{retraining}: {count} trials{' with their files' if files else ''}"
    asks = not yes and sys.stdin is not None and sys.stdin.isatty()
    if asks and not typer.confirm(f"Delete {what}?", err=True):
        say("nothing was deleted")
        return 1
    gone, left = deletion.delete(doomed, place.runs, artifacts, files=files)
    say(f"deleted {what}")
    for path in left:
        say(f"{path} stays: no study wrote it")
    if as_json:
        removed, remaining = [str(path) for path in gone], [str(path) for path in left]
        names = [each.name for each in doomed]
        write_json({"deleted": names, "trials": count, "removed": removed, "left": remaining})
    return 0
