"""What `search confirm` and `search ablate` share: train what is planned, and print the answer."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from search.cli.groups import Machine
from search.render.output import say, write_json

if TYPE_CHECKING:
    from search.study.study import Study

Prepare = Callable[["Study"], "tuple[Study, list[str]]"]
"""Makes or finds the study that retrains for a search, and says in sentences what was decided."""


def retrain(prepare: Prepare, study: str, data: Path | None, machine: Machine, as_json: bool) -> int:
    """Trains what is planned, and what is planned meanwhile, on this machine; prints the answer so far.

    With `--workers 0` it only plans. Returns the exit code of the trainings.
    """
    from search.launcher.at_end import announce, read_at_end
    from search.launcher.start import divide_cores, run
    from search.launcher.supervisor import LocalWorkers
    from search.render.terminal import RichBlocks, show
    from search.retraining.answer_page import answer_blocks, answer_of, publish
    from search.runtime.signals import interruptible
    from search.worker.workspace import check_folder

    check_folder(machine.runs)
    devices = machine.find_all()
    at_end = read_at_end(machine.on_end)
    retraining, notes = prepare(machine.open(study))
    for note in notes:
        say(note)
    code = 0
    if devices:
        if machine.workers is None:
            devices = divide_cores(devices, retraining)
        try:
            code = run(retraining, LocalWorkers(devices, machine.runs, data, machine.artifacts))[1]
        finally:  # also where bugs have stopped it
            with interruptible() as interrupt, interrupt.at_once():
                announce(retraining, at_end)
        code = interrupt.code if interrupt else code
    answer = answer_of(retraining, machine.runs, machine.artifacts)
    publish(retraining, answer)
    if not answer.ended:
        say(f"search worker --study {answer.study} works on it, from any machine")
    if as_json:
        write_json(answer.to_json())
    else:
        show(RichBlocks(answer_blocks(answer)))
    return code
