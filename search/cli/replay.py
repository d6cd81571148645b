"""`search replay`: train a trial once more, and say whether it came out the same."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from search.cli import options as flag
from search.cli.groups import OneDevice, Place
from search.render.output import say, write_json
from search.runtime.collector import paused_collector

Out = Annotated[
    Path | None,
    flag.path_option(
        "--out", "Keep the repetition's files here, and continue there; by default they are temporary."
    ),
]


def replay(
    number: Annotated[int, flag.number_argument("The trial's number.")],
    study: flag.StudyName,
    place: Place,
    one: OneDevice,
    out: Out = None,
    data: flag.Data = None,
    objective: flag.Objective = None,
    as_json: flag.Json = False,
) -> int:
    """Train a trial again, and say whether it came out the same.

    Identical, within noise, or not reproduced; and what was different.
    """
    from search.runtime.signals import interruptible

    with interruptible() as interrupt, ExitStack() as stack:
        with interrupt.at_once(), paused_collector():
            from search.render.terminal import RichBlocks, show
            from search.training.folder import claimed
            from search.training.replay import judge, recorded_of, request_of_replay
            from search.training.request import request_of_trial
            from search.training.run import Trainer, on_threads
            from search.ui.live import follow

            opened = place.open(study, read_only=True)
            request, record = request_of_trial(opened, number)
            request = request_of_replay(request, record)
            recorded = recorded_of(opened, record, place.runs)
            device = on_threads(one.find(), (recorded or {}).get("provenance.threads"))
            device.confine()
            folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="search-replay-")))
            title = f"replay of trial {number}"
            trainer = Trainer(request, request.seeds(None), device, data, folder, title)
        with claimed(folder, request):
            follow(trainer.run(interrupt))
        if not interrupt:
            result = judge(opened, record, trainer, recorded, out)
            if as_json:
                write_json(result.to_json())
            else:
                show(RichBlocks(result.blocks()))
            return 1 if result.answer.verdict == "not reproduced" else 0
        if out is not None:
            say(f"the same command continues in {out}")
    return interrupt.code
