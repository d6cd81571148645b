"""What `search confirm` and `search ablate` share: train what is planned, and print the answer."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from search.render.output import say, write_json
from search.study.resolve import resolve_study, storage_url

if TYPE_CHECKING:
    from search.study.study import Study

Prepare = Callable[["Study"], "tuple[Study, list[str]]"]
"""Makes or finds the study that retrains for a search, and says in sentences what was decided."""


def retrain(
    prepare: Prepare,
    study: str,
    storage: str | None,
    runs: Path,
    data: Path | None,
    artifacts: str | None,
    workers: int | None,
    gpus: str,
    device: str | None,
    on_end: str | None,
    as_json: bool,
) -> int:
    """Trains what is planned, and what is planned meanwhile, on this machine; prints the answer so far.

    With `--workers 0` it only plans. Returns the exit code of the trainings.
    """
    from search.launcher.at_end import announce, read_at_end
    from search.launcher.start import divide_cores, run
    from search.launcher.supervisor import LocalWorkers
    from search.render.terminal import RichBlocks, show
    from search.retraining.answer_page import answer_blocks, answer_of, publish
    from search.runtime.devices import find_devices
    from search.runtime.signals import interruptible
    from search.worker.workspace import check_folder

    check_folder(runs)
    devices = () if workers == 0 else find_devices(gpus, workers, device)
    at_end = read_at_end(on_end)
    retraining, notes = prepare(resolve_study(storage_url(storage, runs), study))
    for note in notes:
        say(note)
    code = 0
    if devices:
        if workers is None:
            devices = divide_cores(devices, retraining)
        try:
            code = run(retraining, LocalWorkers(devices, runs, data, artifacts))[1]
        finally:  # also where bugs have stopped it
            with interruptible() as interrupt, interrupt.at_once():
                announce(retraining, at_end)
        code = interrupt.code if interrupt else code
    answer = answer_of(retraining, runs, artifacts)
    publish(retraining, answer)
    if not answer.ended:
        say(f"search worker --study {answer.study} works on it, from any machine")
    if as_json:
        write_json(answer.to_json())
    else:
        show(RichBlocks(answer_blocks(answer)))
    return code
