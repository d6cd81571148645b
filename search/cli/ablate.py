"""`search ablate`: retrain what lies between two configs."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.retraining import retrain


def ablate(
    a: Annotated[
        str, typer.Argument(metavar="A", help="Where it begins: a trial's number, a known config, or best.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Where it leads to.")],
    study: flag.StudyName,
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
    storage: flag.Storage = None,
    runs: flag.Runs = Path("runs"),
    artifacts: flag.Artifacts = None,
    workers: flag.Workers = None,
    gpus: flag.Gpus = "auto",
    device: flag.Device = None,
    on_end: flag.OnEnd = None,
    as_json: flag.Json = False,
) -> int:
    """Retrain what lies between A and B, to see which change did it.

    A, B, and A with each change alone are trained on the same fresh seeds.
    """
    from search.retraining.ablate import AblateRequest, prepared

    asked = AblateRequest(a=a, b=b, name=name, seeds=seeds, trials=trials)
    prepare = partial(prepared, request=asked, runs=runs, data=data)
    return retrain(prepare, study, storage, runs, data, artifacts, workers, gpus, device, on_end, as_json)
