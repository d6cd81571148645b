"""`search stop`: ask the workers of a study to leave."""

from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.groups import Place
from search.render.output import say


def stop(
    study: flag.StudyName,
    place: Place,
    now: Annotated[
        bool, typer.Option("--now", help="Give running trials back instead of ending them.")
    ] = False,
) -> int:
    """Ask every worker of a study to stop: after its trial, or now."""
    from search.retraining.stages import made_stages
    from search.study.read import SILENT_SECONDS
    from storage.reads import worker_rows
    from storage.studies import set_stop

    opened = place.open(study)
    workers = 0
    for each in (opened, *made_stages(opened)):
        set_stop(each.engine, each.id, "now" if now else "drain")
        workers += len(worker_rows(each.engine, each.id, SILENT_SECONDS))
    how = "give their trials back and leave now" if now else "finish their trials and leave"
    none = "" if workers else " (there are none now)"
    say(
        f"the workers of study {opened.name!r} will {how}{none}; "
        f"search start --study {opened.name} continues it"
    )
    return 0
