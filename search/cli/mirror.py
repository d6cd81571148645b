"""`search mirror`: a study in TensorBoard, MLflow or Weights & Biases."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import options as flag
from search.errors import UserError
from search.render.output import say
from search.study.resolve import resolve_study, storage_url

SECONDS = 5.0  # between two looks


def mirror(
    study: flag.StudyName,
    tensorboard: Annotated[str | None, typer.Option(metavar="DIR", help="Event files below DIR.")] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="URI", help="Runs at a tracking URI, as in sqlite:///mlflow.db.")
    ] = None,
    wandb: Annotated[str | None, typer.Option(metavar="DIR", help="Offline runs below DIR.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the search ends.")] = False,
    storage: flag.Storage = None,
    runs: flag.Runs = Path("runs"),
) -> int:
    """Copy the trials of a study to TensorBoard, MLflow or W&B.

    Parameters, curves, overlays, links to files, from the database: run again, it adds what is new.
    """
    from search.mirrors.registry import mirror_once, open_mirror
    from search.runtime.signals import interruptible
    from search.study.read import read_snapshot
    from storage.errors import DATABASE_ERRORS, reason

    given = {"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}
    places = {tracker: place for tracker, place in given.items() if place is not None}
    if not places:
        raise UserError("search mirror: no tracker; give --tensorboard DIR, --mlflow URI or --wandb DIR")
    opened = resolve_study(storage_url(storage, runs), study, read_only=True)
    mirrors = [open_mirror(tracker, place, opened.name) for tracker, place in places.items()]
    with interruptible() as interrupt:
        ended = False
        while True:
            try:
                ended = read_snapshot(opened).budget.used_up  # read first: what ended before is mirrored
                say(f"{mirror_once(opened, runs, mirrors)} new epochs")
            except DATABASE_ERRORS as error:
                if not follow:
                    raise
                say(f"the database does not answer: {reason(error)}")
            if not follow or ended:
                return 0
            if interrupt.wait(SECONDS):
                return interrupt.code
