"""The command line: parse, one call, an exit code. Data go to stdout, progress and words to stderr.

Whatever a command needs is imported inside it: `search status` loads neither torch nor Optuna.
"""

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from search.cli import compare, imports, report, retraining, shows
from search.cli.options import (
    Artifacts,
    Data,
    Debug,
    Device,
    GpuHours,
    Gpus,
    Json,
    Origin,
    Overrides,
    PerGpu,
    Profile,
    Runs,
    Space,
    Storage,
    StudyName,
    Trials,
    Workers,
)
from search.errors import SearchError, UserError
from search.render.output import say, write_json
from search.study.resolve import resolve_study, storage_url

TRACE = "trace.json.gz"

app = typer.Typer(
    help="Hyperparameter search for segmentation: exact budgets, nothing lost, true reports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"mseg-search {version('mseg-search')}")
        raise typer.Exit


@app.callback()
def common(
    debug: Debug = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Options of every command; `main` has taken `--debug` out, wherever it stood."""


@app.command()
def start(
    study: StudyName,
    storage: Storage = None,
    runs: Runs = Path("runs"),
    data: Data = None,
    artifacts: Artifacts = None,
    space: Space = None,
    overrides: Overrides = None,
    profile: Profile = None,
    trials: Trials = None,
    gpu_hours: GpuHours = None,
    origin: Origin = None,
    workers: Workers = None,
    gpus: Gpus = "auto",
    per_gpu: PerGpu = "1",
    device: Device = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Change sampler, pruner, target or report.stages of an existing study."
        ),
    ] = False,
) -> int:
    """Create or join a study and train until its budget is used up.

    One worker for every GPU of this machine, or one on the CPU. The same command goes on where it stopped.
    """
    from search.launcher import gpu_sharing
    from search.launcher.creation import StartOptions, open_or_create
    from search.launcher.start import run
    from search.render.terminal import show
    from search.runtime.devices import find_devices
    from search.study.read import read_snapshot
    from search.ui.best import closing
    from search.ui.live import view

    if per_gpu != "1" and workers is not None:
        raise UserError("--per-gpu: --workers says already how many there are; leave one of the two away")
    wanted = StartOptions(
        study=study,
        url=storage_url(storage, runs),
        runs=runs,
        data=data,
        artifacts=artifacts or None,
        space=space,
        overrides=overrides or (),
        profile=profile,
        trials=trials,
        gpu_hours=gpu_hours,
        origin=origin,
        update=update,
    )
    here = [] if workers == 0 else find_devices(gpus, workers, device)
    gpu_sharing.check(per_gpu, here)
    found, notes = open_or_create(wanted)
    for note in notes:
        say(note)
    if not here:
        say(f"study {found.name!r} is there; search worker --study {found.name} works on it")
        return 0
    if per_gpu != "1" and not read_snapshot(found).budget.used_up:
        here, measured = gpu_sharing.packed(here, per_gpu, found.spec, data)
        if measured:
            say(measured)
    snapshot, code, turned_away = run(found, wanted, here, view(sys.stderr))
    for line in turned_away:
        say(line)
    best = snapshot.best
    folder = runs / found.name / f"trial-{best.number:04d}" if best else None
    show(closing(snapshot, folder))
    return code


@app.command()
def worker(
    study: StudyName,
    storage: Storage = None,
    runs: Runs = Path("runs"),
    data: Data = None,
    artifacts: Artifacts = None,
    gpus: Gpus = "auto",
    device: Device = None,
    wait: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Seconds to wait for a database or study to appear; by default 30 for a database.",
            envvar="SEARCH_WAIT",
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(hidden=True)] = None,
    share: Annotated[int, typer.Option(hidden=True)] = 1,
    tied: Annotated[bool, typer.Option("--tied", hidden=True)] = False,
) -> int:
    """Join a study with one device until its budget is used up.

    It takes the first device that no other worker has.
    """
    from search.runtime.signals import interruptible

    with interruptible() as interrupt:
        with interrupt.at_once():  # Optuna takes a second to import
            from search.worker.joining import WorkerOptions, work

        wanted = WorkerOptions(
            url=storage_url(storage, runs),
            study=study,
            runs=runs,
            data=data,
            artifacts=artifacts or None,
            gpus=gpus,
            device=device,
            wait=wait,
            label=label,
            share=share,
            tied=tied,
        )
        return work(wanted, interrupt)
    return interrupt.code  # a signal came while it was imported


shows.add_to(app)


@app.command()
def check(
    data: Data = None,
    space: Space = None,
    overrides: Overrides = None,
    profile: Profile = None,
    gpus: Gpus = "auto",
    device: Device = None,
    traced: Annotated[
        bool, typer.Option("--trace", help=f"Train two epochs; the second's trace goes to {TRACE}.")
    ] = False,
    planned: Annotated[
        bool, typer.Option("--plan", help="Train three epochs and say what the budget costs.")
    ] = False,
    trials: Annotated[int | None, typer.Option(min=1, help="With --plan: the budget.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="With --plan: how many there will be.")] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study", help="With --plan: whose trials say what pruning saves.", envvar="SEARCH_STUDY"
        ),
    ] = None,
    storage: Storage = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> int:
    """Read document and data as a search would; writes no study."""
    from search.launcher.creation import StartOptions
    from search.launcher.estimate import WORKERS
    from search.launcher.preflight import check as run
    from search.launcher.preflight import check_table, study_like
    from search.render.terminal import show
    from search.runtime.devices import find_devices

    if not planned and (trials or workers):
        raise UserError("check: --trials and --workers belong to --plan; add it, or leave them away")
    wanted = StartOptions(
        study="check",
        url="",
        runs=runs,
        data=data,
        space=space,
        overrides=overrides or (),
        profile=profile,
        trials=trials,
    )
    place = find_devices(gpus, None, device)[0]
    place.confine()  # before torch is loaded: what is measured is this place
    numbers = ((workers,) if workers else WORKERS) if planned else None
    like = study_like(storage_url(storage, runs), study) if planned and study else None
    report = run(wanted, place, Path(TRACE) if traced else None, numbers, like)
    if as_json:
        write_json(report.to_json())
    else:
        show(check_table(report))
    return 0


@app.command()
def stop(
    study: StudyName,
    storage: Storage = None,
    runs: Runs = Path("runs"),
    now: Annotated[
        bool, typer.Option("--now", help="Give running trials back instead of ending them.")
    ] = False,
) -> int:
    """Ask every worker of a study to stop: after its trial, or now."""
    from search.study.read import SILENT_SECONDS
    from storage.reads import worker_rows
    from storage.studies import set_stop

    found = resolve_study(storage_url(storage, runs), study)
    set_stop(found.engine, found.id, "now" if now else "drain")
    how = "give their trials back and leave now" if now else "finish their trials and leave"
    there = worker_rows(found.engine, found.id, SILENT_SECONDS)
    none = "" if there else " (there is none now)"
    say(
        f"the workers of study {found.name!r} will {how}{none}; "
        f"search start --study {found.name} goes on with it"
    )
    return 0


@app.command()
def dashboard(
    storage: Storage = None,
    runs: Runs = Path("runs"),
    artifacts: Artifacts = None,
    study: Annotated[str | None, typer.Option("--study", help="Only checks that it exists.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; there is no login.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
) -> int:
    """optuna-dashboard on the study's storage and artifacts."""
    from search.launcher.dashboard import serve
    from search.worker.checkpoint_sync import artifact_place

    url = storage_url(storage, runs)
    if study is not None:
        resolve_study(url, study)
    serve(url, artifact_place(artifacts or None, runs), host, port)
    return 130  # it swallows Ctrl-C, and nothing else ends it


compare.add_to(app)
retraining.add_to(app)
report.add_to(app)
imports.add_to(app)


# -- what commands share -------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: runs a command and exits with its code; an error the user can mend is one line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    sys.exit(guarded(lambda: app(given, prog_name="search", standalone_mode=False), debug))


def guarded(command: Callable[[], Any], debug: bool = False) -> int:
    """The command's exit code; what it raises is said in one line, or with `debug` in full."""
    from sqlalchemy.exc import SQLAlchemyError

    from storage.engine import StorageError

    try:
        return int(command() or 0)
    except (SearchError, StorageError, TyperException, SQLAlchemyError) as error:
        if debug:
            traceback.print_exc()
        elif isinstance(error, TyperException):
            say(said_by_typer(error))
        elif isinstance(error, SQLAlchemyError):
            say(f"storage: {str(error).splitlines()[0]}")
        else:
            say(str(error))
        return 2 if isinstance(error, StorageError) else int(getattr(error, "exit_code", 1))
    except OSError as error:
        if debug or error.filename is None:
            raise
        say(f"{error.filename}: {error.strerror}; --debug shows where")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except SystemExit as ended:  # so typer ends when whoever read our stdout has left, which is no failure
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        return 0


def said_by_typer(error: TyperException) -> str:
    """What is wrong with the flags on one line, with the value, which typer leaves out, and the remedy.

    Of a bare `search` it is the help, as it stands.
    """
    message = error.format_message()
    if message.startswith("Usage:"):
        return message
    said = " ".join(message.split())
    errors: list[Any] = getattr(error.__cause__, "errors", list)()  # pydantic's
    if errors:
        return f"{said}, not {errors[0]['input']!r}"
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "search"
    separator = " " if said.endswith("?") else "; "
    return f"{said.removesuffix('.')}{separator}{path} --help shows what it takes"
