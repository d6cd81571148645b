"""`search worker`: join a study from this or another machine."""

from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.groups import OneDevice, Place
from search.errors import StudyError
from search.render.output import say
from search.runtime.collector import paused_collector


def worker(
    study: flag.StudyName,
    place: Place,
    one: OneDevice,
    data: flag.Data = None,
    artifacts: flag.Artifacts = None,
    objective: flag.Objective = None,
    on_end: flag.OnEnd = None,
    wait: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long to wait for database and study to appear; by default 30 for a database, 0 for a "
            "study.",
            envvar="SEARCH_WAIT",
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(hidden=True)] = None,
    share: Annotated[int, typer.Option(hidden=True)] = 1,
    tied: Annotated[bool, typer.Option("--tied", hidden=True)] = False,
) -> int:
    """Join a study, and train on one device of this machine.

    It takes the first device that no other worker uses, and trains until the study's budget is used up.
    """
    from search.runtime.signals import interruptible

    with interruptible() as interrupt:
        with interrupt.at_once(), paused_collector():  # Optuna takes a second to import
            from search.launcher.at_end import announce, read_at_end
            from search.study.resolve import resolve_study
            from search.worker.joining import WorkerOptions, run_worker
            from storage.errors import StorageError

        options = WorkerOptions(
            url=place.url,
            study=study,
            runs=place.runs,
            data=data,
            artifacts=artifacts,
            gpus=one.gpus,
            device=one.device,
            wait=wait,
            label=label,
            share=share,
            tied=tied,
        )
        at_end = read_at_end(on_end)
        code = run_worker(options, interrupt)
        if at_end and not tied and not interrupt:  # a supervisor announces it itself
            with interrupt.at_once():
                try:
                    announce(resolve_study(options.url, study), at_end)
                except (StorageError, StudyError) as error:  # its work is done
                    say(f"at the end: {error}")
        return code
    return interrupt.code  # a signal came during the import, or while the end was announced
