"""`search confirm`: retrain the best and a baseline on fresh seeds."""

import math
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import options as flag
from search.cli.groups import Machine
from search.cli.retraining import retrain
from search.errors import UserError

if TYPE_CHECKING:
    from search.retraining.confirm import ConfirmRequest
    from search.study.study import Study


def confirm(
    study: flag.StudyName,
    machine: Machine,
    top: Annotated[
        int | None, flag.number_option("--top", "How many of the best trials; by default 3.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            callback=flag.filled,
            metavar="CONFIG",
            help="The baseline: a trial's number or a known config; by default the best known config.",
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
            help="The largest difference in score that does not matter: closer configs are practically the "
            "same. By default the objective's, which is 0.005 for the stock one.",
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Train nothing; say how many seeds --smallest-gain needs, by recorded repeats."
        ),
    ] = False,
    smallest_gain: Annotated[
        float | None,
        typer.Option(
            "--smallest-gain",
            metavar="X",
            help="With --plan: the smallest gain in score to be found; by default --margin.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Train with another constant, such as data.image_size=256."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            callback=flag.filled,
            metavar="NAME",
            help="The study that retrains; by default STUDY-confirm.",
        ),
    ] = None,
    data: flag.Data = None,
    as_json: flag.Json = False,
) -> int:
    """Retrain the best and a baseline on the same fresh seeds.

    Further seeds go where it is still open, until it is settled which is better.
    """
    from search.retraining.confirm import ConfirmRequest, prepared

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
        return _plan(machine.open(study), asked, smallest_gain, as_json)
    if smallest_gain is not None:
        raise UserError("--smallest-gain: belongs to --plan; add it, or leave this out")
    prepare = partial(prepared, request=asked, runs=machine.runs, data=data)
    return retrain(prepare, study, data, machine, as_json)


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
