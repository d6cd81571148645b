"""`search ablate`: retrain what lies between two configs."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import (
    Artifacts,
    Data,
    Device,
    Gpus,
    Json,
    Runs,
    Seeds,
    Storage,
    StudyName,
    Trainings,
    Workers,
)
from search.cli.retraining import devices_here, train, write_answer
from search.study.resolve import resolve_study, storage_url


def ablate(
    a: Annotated[str, typer.Argument(help="Where it begins: a trial's number, a known config, or best.")],
    b: Annotated[str, typer.Argument(help="Where it leads to.")],
    study: StudyName,
    seeds: Seeds = None,
    trials: Trainings = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The study that retrains: STUDY-ablate-A-B.")
    ] = None,
    storage: Storage = None,
    runs: Runs = Path("runs"),
    data: Data = None,
    artifacts: Artifacts = None,
    workers: Workers = None,
    gpus: Gpus = "auto",
    device: Device = None,
    as_json: Json = False,
) -> int:
    """Retrain what lies between A and B: which change did it.

    A, B, and A with each change alone are trained on the same fresh seeds.
    """
    from search.retraining.ablate import AblateRequest, answer, prepared
    from search.retraining.answer_page import publish
    from search.retraining.answers import ablation_blocks

    devices = devices_here(runs, workers, gpus, device)
    asked = AblateRequest(a=a, b=b, name=name, seeds=seeds, trials=trials)
    retraining, notes = prepared(resolve_study(storage_url(storage, runs), study), asked)
    code = train(retraining, notes, devices, workers, runs, data, artifacts)
    result = answer(retraining)
    publish(retraining, result)
    write_answer(result, ablation_blocks(result), as_json)
    return code
