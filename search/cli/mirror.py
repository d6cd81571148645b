"""`search mirror`: a study in TensorBoard, MLflow or Weights & Biases."""

from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.groups import Place
from search.errors import UserError
from search.render.output import say

SECONDS = 5.0  # between two looks


def mirror(
    study: flag.StudyName,
    place: Place,
    tensorboard: Annotated[str | None, typer.Option(metavar="DIR", help="Event files below DIR.")] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="URI", help="Runs at a tracking URI, as in sqlite:///mlflow.db.")
    ] = None,
    wandb: Annotated[str | None, typer.Option(metavar="DIR", help="Offline runs below DIR.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the search ends.")] = False,
) -> int:
    """Copy the trials of a study to TensorBoard, MLflow or W&B.

    Parameters, curves, overlays, links to files, from the database: run again, it adds what is new.
    """
    from search.mirrors.registry import mirror_once, open_mirror
    from search.runtime.signals import interruptible
    from search.study.read import read_snapshot
    from storage.errors import DATABASE_ERRORS, reason

    given = {"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}
    places = {tracker: where for tracker, where in given.items() if where is not None}
    if not places:
        raise UserError("search mirror: no tracker; give --tensorboard DIR, --mlflow URI or --wandb DIR")
    opened = place.open(study, read_only=True)
    mirrors = [open_mirror(tracker, where, opened.name) for tracker, where in places.items()]
    with interruptible() as interrupt:
        ended = False
        while True:
            try:
                ended = read_snapshot(opened).budget.used_up  # read first: what ended before is mirrored
                say(f"{mirror_once(opened, place.runs, mirrors)} new epochs")
            except DATABASE_ERRORS as error:
                if not follow:
                    raise
                say(f"the database does not answer: {reason(error)}")
            if not follow or ended:
                return 0
            if interrupt.wait(SECONDS):
                return interrupt.code
