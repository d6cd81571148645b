"""The command line: assembles the commands, and turns errors into one line and an exit code.

Each command has a file here: parse, one call, an exit code. Data go to stdout, progress and messages to
stderr. Whatever a command needs is imported inside it: `search status` loads neither torch nor Optuna.
"""

import errno
import importlib.util
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from search.api.places import own_errors
from search.cli import options as flag
from search.cli.ablate import ablate
from search.cli.best import best
from search.cli.check import check
from search.cli.compare import compare
from search.cli.confirm import confirm
from search.cli.dashboard import dashboard
from search.cli.delete import delete
from search.cli.export import export
from search.cli.groups import with_flags
from search.cli.imports import import_runs
from search.cli.mirror import mirror
from search.cli.predict import predict
from search.cli.replay import replay
from search.cli.report import report
from search.cli.schema import schema
from search.cli.start import start
from search.cli.status import status
from search.cli.stop import stop
from search.cli.submit import submit
from search.cli.train import train
from search.cli.trials import trials
from search.cli.worker import worker
from search.errors import SearchError, printable
from search.loading import OUR_FOLDER
from search.render.output import say

app = typer.Typer(
    help="Hyperparameter search for segmentation: exact budgets, no lost trials, honest reports.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
"""A file where a folder is due, or a folder where a file is."""

LONGEST_PATH = 200  # characters of a path in a message
COMMANDS = (
    start,
    worker,
    status,
    trials,
    best,
    check,
    stop,
    delete,
    dashboard,
    mirror,
    compare,
    confirm,
    ablate,
    report,
    train,
    replay,
    predict,
    export,
    submit,
    schema,
)
for command in COMMANDS:
    app.command()(with_flags(command))
app.command("import")(with_flags(import_runs))


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        print(f"mseg-search {version('mseg-search')}")
        raise typer.Exit


@app.callback()
def common(
    debug: flag.Debug = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options of every command; `main` has already removed `--debug`, wherever it stood."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: runs a command and exits with its code; an error the user can fix is one line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a letter of somebody's name
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        Path.cwd()
    except OSError as error:
        say(f"the working folder: {error.strerror}; change to a folder that is there")
        sys.exit(2)
    if foreign := _foreign_storage():
        say(f"PYTHONPATH: {foreign} is found before this program's own package storage; rename the folder")
        sys.exit(2)
    sys.exit(guarded(lambda: command_group()(given, prog_name="search", standalone_mode=False), debug))


@cache
def command_group() -> Any:
    """All commands with their flags, which takes a while to assemble."""
    return typer.main.get_command(app)


def _foreign_storage() -> Path | None:
    """The folder of somebody else's package `storage` that is found before ours."""
    spec = importlib.util.find_spec("storage")
    place = Path(spec.origin).resolve().parent if spec and spec.origin else None
    return place if place != OUR_FOLDER / "storage" else None


def guarded(command: Callable[[], Any], debug: bool = False) -> int:
    """The command's exit code; an expected error is printed as one line, with `debug` as a traceback."""
    try:
        with own_errors():
            code = int(command() or 0)
        if sys.stdout is not None:  # closed by whoever started this
            sys.stdout.flush()  # here and not at the interpreter's end, where nobody catches an error
        return code
    except (SearchError, TyperException) as error:
        sentence = usage_error(error) if isinstance(error, TyperException) else printable(str(error))
        _say_error(sentence, debug)
        return int(getattr(error, "exit_code", 1))
    except BrokenPipeError:
        _discard_output()  # the reader of our stdout has gone (`| head`), which is no failure
        return 0
    except OSError as error:
        place = f"{str(error.filename)[:LONGEST_PATH]}: " if error.filename is not None else "output: "
        remedy = "move it away; " if error.errno in IN_THE_WAY else ""
        _say_error(printable(f"{place}{error.strerror or error}; {remedy}--debug shows where"), debug)
        _discard_output()
        return 2 if remedy or error.errno == errno.ENAMETOOLONG else 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except SystemExit as ended:
        # Typer exits like this where it meets the broken pipe first.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        _discard_output()
        return 0


def _say_error(sentence: str, debug: bool) -> None:
    """Prints the sentence, or with `debug` the traceback of the error that is being handled.

    What an argument or a driver brought into either may be a URL with a password.
    """
    from storage.url import without_passwords

    with suppress(OSError):  # stderr is on a full disk, or closed: the exit code is all that is left
        say(without_passwords(traceback.format_exc().rstrip() if debug else sentence))


def _discard_output() -> None:
    """Sends what is left for stdout nowhere: Python would fail to write it once more at its end."""
    with suppress(OSError, ValueError, AttributeError):  # no descriptor, or none open
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def usage_error(error: TyperException) -> str:
    """What is wrong with the flags in one line: with the value, which typer leaves out, and the remedy.

    For `search` without a command it is the help as it stands.
    """
    message = error.format_message()
    if message.startswith("Usage:"):
        return message
    line = " ".join(message.split()).replace("Value error, ", "")
    errors: list[Any] = getattr(error.__cause__, "errors", list)()  # pydantic's
    if errors:
        given = repr(errors[0]["input"])
        return line.removesuffix(".") if given in line else f"{line}, not {given}"
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "search"
    separator = " " if line.endswith("?") else "; "
    return f"{line.removesuffix('.')}{separator}{path} --help shows the options"
