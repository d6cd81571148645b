"""The commands that retrain, a part of the command line: parse, one call, an exit code."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Artifacts, Data, Device, Gpus, Json, Runs, Storage, StudyName, Workers
from search.render.output import say, write_json
from search.study.resolve import resolve_study, storage_url

if TYPE_CHECKING:
    from search.analysis.ablation import Ablation
    from search.analysis.confirmation import Confirmation
    from search.render.document import Block
    from search.runtime import devices
    from search.study.study import Study

Trainings = Annotated[
    int | None, typer.Option("--trials", min=1, help="Trainings over all configs at most.")
]
Seeds = Annotated[
    int | None, typer.Option(min=2, max=30, help="Fresh seeds of a config at most; 6 by default.")
]


def confirm(
    study: StudyName,
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
    seeds: Seeds = None,
    trials: Trainings = None,
    splits: Annotated[
        bool | None, typer.Option("--splits/--same-split", help="Another train/val split for every seed.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The study that retrains: STUDY-confirm.")
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
    """Retrain the best and a baseline on the same fresh seeds.

    Further seeds go where it is still open, until it is settled which is better.
    """
    from search.retraining.answer_page import publish
    from search.retraining.answers import confirmation_blocks
    from search.retraining.confirm import Asked, answer, prepared

    here = devices_here(runs, workers, gpus, device)
    asked = Asked(name=name, top=top, against=against, seeds=seeds, trials=trials, splits=splits)
    made, notes = prepared(resolve_study(storage_url(storage, runs), study), asked)
    code = train(made, notes, runs, data, artifacts, here)
    found = answer(made)
    publish(made, found)
    tell(found, confirmation_blocks(found), as_json)
    return code


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
    from search.retraining.ablate import Asked, answer, prepared
    from search.retraining.answer_page import publish
    from search.retraining.answers import ablation_blocks

    here = devices_here(runs, workers, gpus, device)
    asked = Asked(a=a, b=b, name=name, seeds=seeds, trials=trials)
    made, notes = prepared(resolve_study(storage_url(storage, runs), study), asked)
    code = train(made, notes, runs, data, artifacts, here)
    found = answer(made)
    publish(made, found)
    tell(found, ablation_blocks(found), as_json)
    return code


def add_to(app: typer.Typer) -> None:
    """Makes them commands of `app`."""
    app.command()(confirm)
    app.command()(ablate)


# -- what both share -----------------------------------------------------------------------------


def devices_here(runs: Path, workers: int | None, gpus: str, device: str | None) -> "list[devices.Device]":
    """Where this machine's workers run; nowhere for `--workers 0`."""
    from search.runtime.devices import find_devices
    from search.worker.workspace import check_folder

    check_folder(runs)
    return [] if workers == 0 else find_devices(gpus, workers, device)


def train(
    made: "Study",
    notes: Sequence[str],
    runs: Path,
    data: Path | None,
    artifacts: str | None,
    here: "Sequence[devices.Device]",
) -> int:
    """Trains what is planned, and what comes to be planned, on this machine; returns an exit code."""
    from search.launcher.creation import StartOptions
    from search.launcher.start import run
    from search.ui.live import view

    for note in notes:
        say(note)
    if not here:
        return 0
    wanted = StartOptions(study=made.name, url=made.url, runs=runs, data=data, artifacts=artifacts or None)
    _, code, turned_away = run(made, wanted, here, view(sys.stderr))
    for line in turned_away:
        say(line)
    return code


def tell(found: "Confirmation | Ablation", blocks: "Sequence[Block]", as_json: bool) -> None:
    """The answer so far: as JSON, or as blocks for a person."""
    from search.render.terminal import Blocks, show

    if not found.ended:
        say(f"search worker --study {found.study} works on it, from any machine")
    if as_json:
        write_json(found.to_json())
    else:
        show(Blocks(blocks))
