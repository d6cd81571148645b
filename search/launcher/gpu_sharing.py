"""How many workers one GPU is for: as many as train the most images per second together.

A small model leaves most of a large GPU idle. `--per-gpu auto` finds out with the study's own objective:
one process on the first GPU, then two, then three, each training the first epochs of an example config in
a folder that is thrown away. The largest total wins; a further process must be worth a few per cent,
and must fit into the memory that is free.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from search.errors import UserError
from search.loading import configure, load_objective
from search.objective import Run
from search.runtime.devices import Device
from search.spec.spec import Spec

MOST = 3  # processes that are tried
LARGEST = 16  # that may be asked for
EPOCHS = 3  # of each process that count, after one that does not
WORTH = 1.03  # times the images per second of one process fewer
SPARE = 1.1  # times the memory of one process must be free for another
PATIENCE = 300.0  # seconds for one trial of a number


@dataclass(frozen=True, slots=True)
class Throughput:
    """What `count` processes did together.

    Attributes:
        speed: images per second in total; epochs per second where the objective counts no images.
        room: whether one more would fit into the device's memory.
    """

    count: int
    speed: float
    room: bool


def check(wanted: str, devices: Sequence[Device]) -> None:
    """Raises UserError where `wanted` is neither `auto` nor a number, or a number without a GPU."""
    if wanted != "auto" and not (wanted.isdecimal() and 1 <= int(wanted) <= LARGEST):
        raise UserError(f"--per-gpu: {wanted!r} is neither auto nor a number from 1 to {LARGEST}")
    if wanted not in ("auto", "1") and devices[0].key is None:
        raise UserError(f"--per-gpu: {wanted}, but there is no GPU here; --workers divides the cores")


def share_gpus(
    devices: Sequence[Device], wanted: str, spec: Spec, data: Path | None
) -> tuple[Sequence[Device], str | None]:
    """The places with as many workers on every GPU as `wanted` says, and what was measured, in words."""
    if devices[0].key is None:
        return list(devices), "--per-gpu auto: there is no GPU here; --workers divides the cores"
    note = None
    if wanted == "auto":
        tried = measure(spec, data, devices[0])
        count = best(tried)
        speeds = ", ".join(f"{one.count}: {one.speed:.4g}" for one in tried) or "none ran"
        note = f"images per second by processes on {devices[0].label}: {speeds}; {count} to each GPU"
    else:
        count = int(wanted)
    if count == 1:
        return list(devices), note
    shared = [
        replace(device, label=f"{device.label}, {index} of {count}", share=count)
        for index in range(1, count + 1)
        for device in devices
    ]
    return shared, note


def best(tried: Sequence[Throughput]) -> int:
    """The number of processes to keep; 1 where not even one could be measured."""
    chosen = Throughput(1, 0.0, True)
    for one in tried:
        if one.speed > chosen.speed * WORTH:
            chosen = one
    return chosen.count


def measure(spec: Spec, data: Path | None, device: Device, patience: float = PATIENCE) -> list[Throughput]:
    """One process at `device`, then two, then three; ends where one more would not fit or did not run."""
    tried: list[Throughput] = []
    for count in range(1, MOST + 1):
        found = _together(count, spec, data, device, patience)
        if found is None:
            break
        tried.append(found)
        if not found.room:
            break
    return tried


# -- the processes -------------------------------------------------------------------------------


@dataclass
class TrainingProcess:
    """A process that trains, and what it has said: one line an epoch."""

    process: subprocess.Popen[str]
    said: list[dict[str, float]] = field(default_factory=list)
    listens: bool = True

    def listen(self) -> None:
        if self.process.stdout is not None:
            with self.process.stdout as lines:
                self.said.extend(map(json.loads, lines))
        self.listens = False

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


def _together(
    count: int, spec: Spec, data: Path | None, device: Device, patience: float
) -> Throughput | None:
    """`count` processes at once; None where one of them ended, or was too slow to be measured."""
    with tempfile.TemporaryDirectory(prefix="search-packing-") as folder:
        job = {
            "objective": spec.objective,
            "params": spec.example(),
            "device": device.name,
            "data": None if data is None else str(data),
        }
        children = [
            _spawn({**job, "folder": f"{folder}/{index}"}, device.environment) for index in range(count)
        ]
        try:
            if not _trained(children, patience):
                return None
        finally:
            for child in children:
                child.end()
    speed = sum(
        statistics.median(epoch["speed"] for epoch in child.said[1 : EPOCHS + 1]) for child in children
    )
    free, total = (min(child.said[EPOCHS][name] for child in children) for name in ("free", "total"))
    return Throughput(count, speed, free >= SPARE * (total - free) / count)


def _trained(children: Sequence[TrainingProcess], patience: float) -> bool:
    """Waits until every child has trained its epochs; False where one ended before, or took too long."""
    deadline = time.monotonic() + patience
    while waited_for := [child for child in children if len(child.said) <= EPOCHS]:
        # What a child said last may still be in the pipe when it has ended.
        ended = any(child.process.poll() is not None and not child.listens for child in waited_for)
        if ended or time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _spawn(job: Mapping[str, Any], environment: Mapping[str, str]) -> TrainingProcess:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "search.launcher.gpu_sharing", json.dumps(job)],
        stdin=subprocess.PIPE,  # closes with this process, and so the child knows that it is alone
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
        text=True,
    )
    child = TrainingProcess(process)
    threading.Thread(target=child.listen, daemon=True).start()
    return child


def _train(job: Mapping[str, Any]) -> None:
    """The child: trains, and says after every epoch how fast that was and how much memory is free."""
    objective = load_objective(job["objective"])
    config = configure(objective, job["params"])
    folder = Path(job["folder"])
    folder.mkdir()
    run = Run(folder, job["device"], data=None if job["data"] is None else Path(job["data"]))
    started = time.perf_counter()
    with closing(objective.train(config, run)) as results:
        for result in results:
            seconds = time.perf_counter() - started
            started += seconds
            speed = result.metrics.get("images_per_second", 1 / seconds)
            free, total = _memory(job["device"])
            print(json.dumps({"speed": speed, "free": free, "total": total}), flush=True)


def _memory(device: str) -> tuple[int, int]:
    """Free bytes of a CUDA device and all of them; of an unknown one, enough."""
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_available():
        return 1, 1
    free, total = torch.cuda.mem_get_info()
    return int(free), int(total)


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _train(json.loads(sys.argv[1]))
