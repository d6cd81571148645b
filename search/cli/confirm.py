"""`search confirm`: retrain the best and a baseline on fresh seeds."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import options as flag
from search.cli.retraining import devices_here, train, write_answer
from search.errors import UserError
from search.study.resolve import resolve_study, storage_url

if TYPE_CHECKING:
    from search.retraining.confirm import ConfirmRequest
    from search.study.study import Study


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
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="The largest difference in score that does not matter: configs that are closer are "
            "practically the same. By default what the objective says, 0.005 for the stock one.",
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Train nothing: how many seeds does --smallest-gain need, by recorded repeats?"
        ),
    ] = False,
    smallest_gain: Annotated[
        float | None,
        typer.Option(
            "--smallest-gain",
            metavar="X",
            help="For --plan: the smallest gain in score that is to be found; --margin by default.",
        ),
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

    for name_of_flag, given in (("--margin", margin), ("--smallest-gain", smallest_gain)):
        if given is not None and not 0 < given < math.inf:
            raise UserError(f"{name_of_flag}: {given} is not above 0")
    asked = ConfirmRequest(
        name=name,
        top=top,
        against=against,
        seeds=seeds,
        trials=trials,
        splits=splits,
        margin=margin,
        overrides=overrides or (),
    )
    if plan:
        return _plan(resolve_study(storage_url(storage, runs), study), asked, smallest_gain, as_json)
    if smallest_gain is not None:
        raise UserError("--smallest-gain: belongs to --plan; add it, or leave this out")
    devices = devices_here(runs, workers, gpus, device)
    searched = resolve_study(storage_url(storage, runs), study)
    retraining, notes = prepared(searched, asked, runs, data)
    code = train(retraining, notes, devices, workers, runs, data, artifacts)
    result = answer(retraining, runs, artifacts or None)
    publish(retraining, result)
    write_answer(result, confirmation_blocks(result), as_json)
    return code


def _plan(study: "Study", asked: "ConfirmRequest", gain: float | None, as_json: bool) -> int:
    from search.render.output import write_json
    from search.render.terminal import RichBlocks, show
    from search.retraining.seed_plan import plan_blocks, planned_seeds

    planned = planned_seeds(study, asked, gain)
    if as_json:
        write_json({"study": study.name, **planned.to_json()})
    else:
        show(RichBlocks(plan_blocks(planned)))
    return 0
