"""The commands that judge results, a part of the command line: parse, one call, an exit code."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from search.errors import UserError
from search.finding import named, storage_url
from search.options import (
    Artifacts,
    Data,
    Device,
    Gpus,
    Json,
    OptionalStudy,
    Runs,
    Storage,
    StudyName,
    Workers,
)
from search.output import say, write_json

Claims = Annotated[
    list[str] | None,
    typer.Option("--claim", metavar="NAME OLD -> NEW", help="A change to look for in what was recorded."),
]
Stages = Annotated[
    str | None,
    typer.Option(
        "--stages",
        metavar="N,N,N,N",
        help="Last epoch of each stage but the last, as in 5,30,90,120; JSON then has them.",
    ),
]


def compare(
    a: Annotated[str, typer.Argument(help="A trial's number, a known config, best, or a run's folder.")],
    b: Annotated[str, typer.Argument(help="The one to hold against it.")],
    study: OptionalStudy = None,
    storage: Storage = None,
    runs: Runs = Path("runs"),
    claims: Claims = None,
    stage_ends: Stages = None,
    as_json: Json = False,
) -> int:
    """What differs between two runs, what does not, and whether their noise covers the difference."""
    from search.claims import parse_claim
    from search.comparison import compare as run
    from search.sides import read_sides
    from search.stages import parse_ends
    from search.study import Study

    def open_study() -> Study:
        if study is None:
            raise UserError(f"compare: {a} and {b} are not both folders; name their study with --study")
        return named(storage_url(storage, runs), study, read_only=True)

    said = [parse_claim(text) for text in claims or ()]
    ends = None if stage_ends is None else parse_ends(stage_ends)
    found = run(*read_sides(a, b, runs, open_study), said, ends)
    if as_json:
        write_json(found.to_json())
    else:
        from search.side_by_side import side_by_side
        from search.tables import show

        show(side_by_side(found))
    return 0


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
    seeds: Annotated[
        int | None, typer.Option(min=2, max=30, help="Fresh seeds of a config at most; 6 by default.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trainings over all configs at most.")] = None,
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
    """Retrain a search's best and a baseline on the same fresh seeds, until it is settled who is better."""
    from search.confirm import Asked, answer, prepare, work
    from search.confirmed import confirmed
    from search.display import view
    from search.places import places
    from search.tables import show
    from search.workspace import check_folder

    check_folder(runs)
    here = [] if workers == 0 else places(gpus, workers, device)
    asked = Asked(name=name, top=top, against=against, seeds=seeds, trials=trials, splits=splits)
    made, notes = prepare(named(storage_url(storage, runs), study), asked)
    code = 0
    if here:
        code, turned_away = work(made, runs, data, artifacts or None, here, view(sys.stderr))
        notes += turned_away
    found = answer(made)
    if not found.ended:
        notes.append(f"search worker --study {made.name} works on it, from any machine")
    for note in notes:
        say(note)
    if as_json:
        write_json(found.to_json())
    else:
        show(confirmed(found))
    return code


def add_to(app: typer.Typer) -> None:
    """Makes them commands of `app`."""
    app.command()(compare)
    app.command()(confirm)
