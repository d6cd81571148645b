"""`search check`: what a search would do on this machine, and what it would cost."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.groups import OneDevice, Place
from search.errors import UserError
from search.render.output import say, write_json

TRACE = "trace.json.gz"


def check(
    place: Place,
    one: OneDevice,
    data: flag.Data = None,
    space: flag.Space = None,
    overrides: flag.Overrides = None,
    profile: flag.Profile = None,
    traced: Annotated[
        bool, typer.Option("--trace", help=f"Train two epochs, and write the second's trace to {TRACE}.")
    ] = False,
    preview: Annotated[
        Path | None,
        flag.path_option(
            "--show-augmentation", "Draw training images before and after augmentation.", "FILE.png"
        ),
    ] = None,
    proposal: Annotated[
        Path | None,
        flag.path_option(
            "--propose-dataset",
            "Write a draft of dataset.yaml for data that have none, and check nothing else.",
            "FILE.yaml",
        ),
    ] = None,
    planned: Annotated[
        bool, typer.Option("--plan", help="Train three epochs and say what the budget costs.")
    ] = False,
    trials: Annotated[
        int | None, flag.number_option("--trials", "With --plan: the budget; by default the document's.")
    ] = None,
    workers: Annotated[
        int | None, flag.number_option("--workers", "With --plan: how many; by default several numbers.")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="NAME",
            help="With --plan: a study whose trials say what pruning saves.",
            envvar="SEARCH_STUDY",
        ),
    ] = None,
    as_json: flag.Json = False,
) -> int:
    """Read document and data as a search would, and write no study."""
    from search.launcher.creation import StartOptions, choose
    from search.launcher.estimate import WORKERS
    from search.launcher.preflight import check_table, preflight, study_like
    from search.launcher.proposal import propose_dataset
    from search.render.terminal import show

    if not planned and (trials or workers):
        raise UserError("check: --trials and --workers belong to --plan; add it, or omit them")
    options = StartOptions(
        study="check",
        url="",
        runs=place.runs,
        data=data,
        space=space,
        overrides=overrides or (),
        profile=profile,
        trials=trials,
    )
    if proposal is not None:
        propose_dataset(choose(options)[0], data, proposal)
        if as_json:
            write_json({"proposal": str(proposal)})
        else:
            say(f"{proposal}: a draft; read it, correct it, and save it as dataset.yaml in the data folder")
        return 0
    device = one.find()
    device.confine()  # before torch is imported: this device is measured
    numbers = ((workers,) if workers else WORKERS) if planned else None
    like = study_like(place.url, study) if planned and study else None
    report = preflight(options, device, Path(TRACE) if traced else None, numbers, like, preview)
    if as_json:
        write_json(report.to_json())
    else:
        show(check_table(report))
    return 0
