"""`search ablate`: retrain what lies between two configs."""

from functools import partial
from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.groups import Machine
from search.cli.retraining import retrain


def ablate(
    a: Annotated[
        str, typer.Argument(metavar="A", help="Where it begins: a trial's number, a known config, or best.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Where it leads to.")],
    study: flag.StudyName,
    machine: Machine,
    seeds: flag.Seeds = None,
    trials: flag.Trainings = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            callback=flag.filled,
            metavar="NAME",
            help="The study that retrains; by default STUDY-ablate-A-B.",
        ),
    ] = None,
    data: flag.Data = None,
    as_json: flag.Json = False,
) -> int:
    """Retrain what lies between A and B, to see which change did it.

    A, B, and A with each change alone are trained on the same fresh seeds.
    """
    from search.retraining.ablate import AblateRequest, prepared

    asked = AblateRequest(a=a, b=b, name=name, seeds=seeds, trials=trials)
    prepare = partial(prepared, request=asked, runs=machine.runs, data=data)
    return retrain(prepare, study, data, machine, as_json)
