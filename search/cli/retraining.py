"""What `search confirm` and `search ablate` share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search.render.output import say, write_json

if TYPE_CHECKING:
    from search.analysis.ablation import Ablation
    from search.analysis.confirmation import Confirmation
    from search.render.document import Block
    from search.runtime.devices import Device
    from search.study.study import Study


def devices_here(runs: Path, workers: int | None, gpus: str, device: str | None) -> "Sequence[Device]":
    """What this machine's workers train on; nothing for `--workers 0`."""
    from search.runtime.devices import find_devices
    from search.worker.workspace import check_folder

    check_folder(runs)
    return () if workers == 0 else find_devices(gpus, workers, device)


def train(
    retraining: "Study",
    notes: Sequence[str],
    devices: "Sequence[Device]",
    workers: int | None,
    runs: Path,
    data: Path | None,
    artifacts: str | None,
) -> int:
    """Trains what is planned, and what is planned meanwhile, on this machine; returns an exit code."""
    from search.launcher.start import divide_cores, run

    for note in notes:
        say(note)
    if not devices:
        return 0
    if workers is None:
        devices = divide_cores(devices, retraining)
    return run(retraining, devices, runs, data, artifacts or None)[1]


def write_answer(answer: "Confirmation | Ablation", blocks: "Sequence[Block]", as_json: bool) -> None:
    """The answer so far: as JSON, or as blocks for a person."""
    from search.render.terminal import RichBlocks, show

    if not answer.ended:
        say(f"search worker --study {answer.study} works on it, from any machine")
    if as_json:
        write_json(answer.to_json())
    else:
        show(RichBlocks(blocks))
