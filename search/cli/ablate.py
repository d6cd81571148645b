"""`search ablate`: retrain what lies between two configs."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.retraining import devices_here, train, write_answer
from search.study.resolve import resolve_study, storage_url


def ablate(
    a: Annotated[str, typer.Argument(help="Where it begins: a trial's number, a known config, or best.")],
    b: Annotated[str, typer.Argument(help="Where it leads to.")],
    study: flag.StudyName,
    seeds: flag.Seeds = None,
    trials: flag.Trainings = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The study that retrains: STUDY-ablate-A-B.")
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
    """Retrain what lies between A and B: which change did it.

    A, B, and A with each change alone are trained on the same fresh seeds.
    """
    from search.retraining.ablate import AblateRequest, answer, prepared
    from search.retraining.answer_page import publish
    from search.retraining.answers import ablation_blocks

    devices = devices_here(runs, workers, gpus, device)
    asked = AblateRequest(a=a, b=b, name=name, seeds=seeds, trials=trials)
    retraining, notes = prepared(resolve_study(storage_url(storage, runs), study), asked, runs, data)
    code = train(retraining, notes, devices, workers, runs, data, artifacts)
    result = answer(retraining, runs, artifacts or None)
    publish(retraining, result)
    write_answer(result, ablation_blocks(result), as_json)
    return code
