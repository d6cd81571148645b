"""`search replay`: train a trial once more, and say whether it came out the same."""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from search.cli import options as flag
from search.render.output import say, write_json
from search.runtime.collector import paused_collector
from search.study.resolve import resolve_study, storage_url

Out = Annotated[
    Path | None,
    flag.path_option(
        "--out", "Keep the repetition's files here, and continue there; by default they are temporary."
    ),
]


def replay(
    number: Annotated[int, flag.number_argument("The trial's number.")],
    study: flag.StudyName,
    out: Out = None,
    data: flag.Data = None,
    storage: flag.Storage = None,
    runs: flag.Runs = Path("runs"),
    gpus: flag.Gpus = "auto",
    device: flag.Device = None,
    objective: flag.Objective = None,
    as_json: flag.Json = False,
) -> int:
    """Train a trial again, and say whether it came out the same.

    Identical, within noise, or not reproduced; and what was different.
    """
    from search.runtime.signals import interruptible

    with interruptible() as interrupt:
        with interrupt.at_once(), paused_collector():
            from search.loading import describe, load_objective
            from search.render.terminal import RichBlocks, show
            from search.runtime.devices import find_devices
            from search.training.folder import claimed, seed_folder
            from search.training.replay import answered, recorded_of, request_of_replay
            from search.training.request import check_params, request_of_trial
            from search.training.run import SeedTraining, Trainer, on_threads
            from search.ui.live import view

            opened = resolve_study(storage_url(storage, runs), study, read_only=True)
            request, record = request_of_trial(opened, number)
            request = request_of_replay(request, record)
            recorded = recorded_of(opened, record, runs)
            first = find_devices(gpus, None, device)[0]
            first = on_threads(first, (recorded or {}).get("provenance.threads"))
            first.confine()
            module = load_objective(request.objective)
            built = check_params(request, module)
            description = describe(module, built, data)
        with ExitStack() as stack:
            folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="search-replay-")))
            (seed,) = request.seeds(None)
            training = SeedTraining(seed, seed_folder(folder, seed))
            trainer = Trainer(request, module, built, first, data, f"replay of trial {number}", folder)
            stack.enter_context(claimed(folder, request))
            with view(sys.stderr) as live:
                for snapshot in trainer.run([training], interrupt):
                    live.update(snapshot)
            if not interrupt:
                result = answered(opened, record, request, training, recorded, description, out)
                if as_json:
                    write_json(result.to_json())
                else:
                    show(RichBlocks(result.blocks()))
                return 1 if result.answer.verdict == "not reproduced" else 0
        if out is not None:
            say(f"the same command continues in {out}")
    return interrupt.code
