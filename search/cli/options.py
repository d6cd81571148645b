"""The flags that several commands have, each with its environment variable.

What changes where a search runs is here; what changes its result is in space.yaml.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from search.errors import UserError
from search.study.resolve import check_replaced


def path_of(text: str | Path) -> Path:
    """A flag's path, `~` replaced: a shell leaves it in `--runs=~/x`, in quotes and in most variables.

    Raises:
        UserError: it is blank, as an unset variable leaves it, or a URL, which may hold a password.
    """
    given = str(text)
    if not given.strip():
        raise UserError("a path is empty; name a folder or a file, as in --runs runs --data photos")
    check_replaced(given)
    if "://" in given:
        raise UserError("a URL stands where a path is due; only --storage and --artifacts take URLs")
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise UserError(f"{given[:200]}: no home folder is known for {given.split('/')[0]!r}") from error


def place_of(text: str) -> str:
    """The flag of a place that is a path or a URL: `~` of a path replaced."""
    return text if "://" in text or not text.strip() else str(path_of(text))


def path_option(name: str, help: str, metavar: str = "PATH", envvar: str | None = None) -> Any:
    """A flag whose value is a path."""
    return typer.Option(name, parser=path_of, metavar=metavar, help=help, envvar=envvar)


def filled(text: str | None) -> str | None:
    """A flag's text; BadParameter where it is blank, as a shell's unset variable leaves it.

    An empty SEARCH_ variable counts as not set, and does not come here.
    """
    if text is not None and not text.strip():
        raise typer.BadParameter("it is empty; give a value, or omit the flag")
    return text


MOST = 2**31 - 1  # what a database column holds


def storable(number: int | None) -> int | None:
    """A number that a database column holds; BadParameter for a larger one."""
    if number is not None and number > MOST:
        raise typer.BadParameter(f"{number} is above {MOST}")
    return number


def number_option(name: str, help: str, min: int = 1, max: int | None = None) -> Any:
    """A flag whose value is a whole number."""
    return typer.Option(name, min=min, max=max, metavar="N", callback=storable, help=help)


def number_argument(help: str) -> Any:
    """A trial's number."""
    return typer.Argument(help=help, min=0, metavar="N", callback=storable)


def allow_objective(name: str | None) -> str | None:
    """Puts --objective where the import of an objective looks, in this process and its workers."""
    if filled(name):
        os.environ["SEARCH_OBJECTIVE"] = str(name)
    return name


_STUDY = typer.Option("--study", metavar="NAME", help="Name of the study.", envvar="SEARCH_STUDY")
StudyName = Annotated[str, _STUDY]
OptionalStudy = Annotated[str | None, _STUDY]

# -- where it runs ---------------------------------------------------------------------------------

Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="sqlite:///FILE or postgresql://USER@HOST/NAME; by default a SQLite file under --runs.  "
        "[env var: SEARCH_STORAGE, or SEARCH_STORAGE_FILE for a file with the URL]",
    ),
]
Runs = Annotated[Path, path_option("--runs", "Folder for what trials write.", envvar="SEARCH_RUNS")]
Data = Annotated[Path | None, path_option("--data", "Folder with the data.", envvar="SEARCH_DATA")]
Artifacts = Annotated[
    str | None,
    typer.Option(
        parser=place_of,
        callback=filled,
        metavar="PLACE",
        help="Store for checkpoints and other files that all machines reach: a folder, or "
        "s3://BUCKET/PREFIX.",
        envvar="SEARCH_ARTIFACTS",
    ),
]
Workers = Annotated[
    int | None,
    number_option(
        "--workers",
        "Worker processes; by default one per GPU, or on a CPU as many as pay off. 0: only create or join "
        "the study.",
        min=0,
        max=1000,
    ),
]
Gpus = Annotated[
    str,
    typer.Option(
        callback=filled,
        metavar="LIST",
        help="auto (all), none, or indices or UUIDs, as in 0,1.",
        envvar="SEARCH_GPUS",
    ),
]
PerGpu = Annotated[
    str, typer.Option(metavar="N", help="Workers on each GPU: a number, or auto for as many as train most.")
]
Device = Annotated[
    str | None,
    typer.Option(
        callback=filled,
        metavar="NAME",
        help="A torch device in place of GPUs: cpu or mps.",
        envvar="SEARCH_DEVICE",
    ),
]
Objective = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="MODULE,...",
        callback=allow_objective,
        help="The only modules that an objective or a model may come from; by default any.",
        envvar="SEARCH_OBJECTIVE",
    ),
]
OnEnd = Annotated[
    str | None,
    typer.Option(
        callback=filled,
        metavar="COMMAND",
        help="Run by the shell once the study ends, with its summary as JSON on stdin. A webhook gets it "
        "as well: SEARCH_ON_END_URL, or SEARCH_ON_END_URL_FILE for a file with the URL.",
        envvar="SEARCH_ON_END",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

# -- what is searched, or trained again ------------------------------------------------------------

Space = Annotated[
    Path | None,
    path_option(
        "--space", "The study's document; by default ./space.yaml, or the one that comes with this program."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Another value for a setting of the document."),
]
Profile = Annotated[str | None, typer.Option(metavar="NAME", help="Use this profile of the document.")]
Trials = Annotated[
    int | None,
    number_option("--trials", "The budget, over all workers and calls; by default the document's."),
]
GpuHours = Annotated[
    float | None,
    typer.Option(
        metavar="HOURS",
        help="Begin no new trial once all of them together have used this many device-hours.",
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
Trainings = Annotated[
    int | None,
    number_option("--trials", "At most this many trainings over all configs; by default no limit."),
]
Seeds = Annotated[
    int | None,
    number_option("--seeds", "At most this many fresh seeds per config; by default 6.", min=2, max=30),
]
