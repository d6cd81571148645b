"""`search confirm`: retrain the best and a baseline on fresh seeds."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.retraining import devices_here, train, write_answer
from search.study.resolve import resolve_study, storage_url


def confirm(
    study: flag.StudyName,
    top: Annotated[
        int | None, typer.Option("--top", min=1, help="How many of the best trials; 3 by default.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="CONFIG",
            help="The baseline: a trial's number or a known config; by default the best known one.",
        ),
    ] = None,
    seeds: flag.Seeds = None,
    trials: flag.Trainings = None,
    splits: Annotated[
        bool | None, typer.Option("--splits/--same-split", help="Another train/val split for every seed.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Train with another constant, such as data.image_size=256."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The study that retrains: STUDY-confirm.")
    ] = None,
    storage: flag.Storage = None,
    runs: flag.Runs = Path("runs"),
    data: flag.Data = None,
    artifacts: flag.Artifacts = None,
    workers: flag.Workers = None,
    gpus: flag.Gpus = "auto",
    device: flag.Device = None,
    as_json: flag.Json = False,
) -> int:
    """Retrain the best and a baseline on the same fresh seeds.

    Further seeds go where it is still open, until it is settled which is better.
    """
    from search.retraining.answer_page import publish
    from search.retraining.answers import confirmation_blocks
    from search.retraining.confirm import ConfirmRequest, answer, prepared

    devices = devices_here(runs, workers, gpus, device)
    asked = ConfirmRequest(
        name=name,
        top=top,
        against=against,
        seeds=seeds,
        trials=trials,
        splits=splits,
        overrides=overrides or (),
    )
    retraining, notes = prepared(resolve_study(storage_url(storage, runs), study), asked, runs, data)
    code = train(retraining, notes, devices, workers, runs, data, artifacts)
    result = answer(retraining, runs, artifacts or None)
    publish(retraining, result)
    write_answer(result, confirmation_blocks(result), as_json)
    return code
