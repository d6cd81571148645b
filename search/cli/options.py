"""The flags that several commands have, each with its environment variable.

What changes where a search runs is here; what changes its result is in space.yaml.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from search.errors import UserError


def path_of(text: str | Path) -> Path:
    """A flag's path, `~` replaced: a shell leaves it in `--runs=~/x`, in quotes and in most variables.

    Raises:
        UserError: it is blank, as an unset variable leaves it, or a URL, which may hold a password.
    """
    given = str(text)
    if not given.strip():
        raise UserError("a path is empty; name a folder or a file, as in --runs runs --data photos")
    if "://" in given:
        raise UserError("a URL stands where a path is due; only --storage and --artifacts take URLs")
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise UserError(f"{given[:200]}: no home folder is known for {given.split('/')[0]!r}") from error


def place_of(text: str) -> str:
    """The flag of a place that is a path or a URL: `~` of a path replaced."""
    return text if "://" in text or not text.strip() else str(path_of(text))


StudyName = Annotated[str, typer.Option("--study", help="Name of the study.", envvar="SEARCH_STUDY")]
OptionalStudy = Annotated[
    str | None, typer.Option("--study", help="Name of the study.", envvar="SEARCH_STUDY")
]
Storage = Annotated[
    str | None,
    typer.Option(
        help="sqlite:///FILE or postgresql://USER@HOST/NAME; by default a SQLite file under --runs. "
        "(env: SEARCH_STORAGE, or SEARCH_STORAGE_FILE for a file that holds the URL)",
    ),
]
Runs = Annotated[
    Path,
    typer.Option(
        parser=path_of, metavar="PATH", help="Folder for what trials write.", envvar="SEARCH_RUNS"
    ),
]
Artifacts = Annotated[
    str | None,
    typer.Option(
        parser=place_of,
        metavar="PLACE",
        help="Where checkpoints of all machines go: a folder, or s3://BUCKET/PREFIX.",
        envvar="SEARCH_ARTIFACTS",
    ),
]
OnEnd = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        help="Run by the shell once the study ends, with its summary as JSON on stdin. "
        "(a webhook gets it as well: SEARCH_ON_END_URL, or SEARCH_ON_END_URL_FILE for a file with the URL)",
        envvar="SEARCH_ON_END",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(parser=path_of, metavar="PATH", help="Folder with the data.", envvar="SEARCH_DATA"),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Space = Annotated[
    Path | None,
    typer.Option(parser=path_of, metavar="PATH", help="The document; ./space.yaml by default."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Overrides one name of the document."),
]
Profile = Annotated[str | None, typer.Option(help="A profile of the document.")]
Gpus = Annotated[str, typer.Option(help="auto, none, or indices: 0,1.", envvar="SEARCH_GPUS")]
Device = Annotated[
    str | None, typer.Option(help="A torch device in place of GPUs: cpu, mps.", envvar="SEARCH_DEVICE")
]
PerGpu = Annotated[
    str, typer.Option(help="Workers on each GPU: a number, or auto, which measures what trains most.")
]
MOST = 2**31 - 1  # what a database column holds

Trials = Annotated[int | None, typer.Option(min=1, max=MOST, help="Total over all workers and all calls.")]
GpuHours = Annotated[
    float | None,
    typer.Option(
        metavar="HOURS",
        help="No new trial begins once the study's trials have used so many device-hours, in all calls.",
    ),
]
Origin = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="STUDY",
        help="Start a new study from the trials of another one that fit its space.",
    ),
]
Stages = Annotated[
    str | None,
    typer.Option(
        "--stages",
        metavar="N,N,N,N",
        help="Last epoch of each stage but the last, as in 5,30,90,120; by default the study's "
        "report.stages, or a rule.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Worker processes: by default one per GPU, or on CPU cores as many as pay. 0: only create or "
        "join the study.",
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Trainings = Annotated[
    int | None, typer.Option("--trials", min=1, max=MOST, help="Trainings over all configs at most.")
]
Seeds = Annotated[
    int | None, typer.Option(min=2, max=30, help="Fresh seeds of a config at most; 6 by default.")
]


def allow_objective(name: str | None) -> str | None:
    """Puts --objective where the import of an objective looks, in this process and its workers."""
    if name:
        os.environ["SEARCH_OBJECTIVE"] = name
    return name


Objective = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="MODULE,...",
        callback=allow_objective,
        help="Import no objective or model but from these modules: refuse a study that names another.",
        envvar="SEARCH_OBJECTIVE",
    ),
]
