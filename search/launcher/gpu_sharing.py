"""How many workers share a GPU: as many as train the most images per second together.

A small model leaves most of a large GPU idle. `--per-gpu auto` measures with the study's own objective: one
process on the first GPU, then two, then three, each training the first epochs of an example config in a
temporary folder. The largest total wins; another process must add a few per cent and fit into free memory.
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
from search.loading import configure, load_objective, train
from search.objective import Run
from search.render.output import say
from search.runtime.devices import Device
from search.spec.spec import Spec

MOST = 3  # processes to try
LARGEST = 16  # workers of one GPU
EPOCHS = 3  # of each process that are measured, after a first one that is not
WORTH = 1.03  # times as many images per second another process must bring
SPARE = 1.1  # times the memory of one process that must be free for another
PATIENCE = 300.0  # seconds to measure one number of processes


@dataclass(frozen=True, slots=True)
class Throughput:
    """What `count` processes train together.

    Attributes:
        speed: images per second in total; epochs per second where the objective counts no images.
        room: whether one more would fit into the device's memory.
    """

    count: int
    speed: float
    room: bool


def check(per_gpu: str, devices: Sequence[Device]) -> None:
    """Raises UserError where `per_gpu` is neither `auto` nor a number, or a number without a GPU."""
    if per_gpu != "auto" and not (per_gpu.isdecimal() and 1 <= int(per_gpu) <= LARGEST):
        raise UserError(f"--per-gpu: {per_gpu!r} is neither auto nor a number from 1 to {LARGEST}")
    if per_gpu not in ("auto", "1") and devices[0].key is None:
        raise UserError(f"--per-gpu: {per_gpu}, but this machine has no GPU; --workers divides its cores")


def share_gpus(devices: Sequence[Device], per_gpu: str, spec: Spec, data: Path | None) -> Sequence[Device]:
    """Each device as often as `per_gpu` says; prints what was measured for `auto`."""
    if devices[0].key is None:
        say("--per-gpu auto: this machine has no GPU; --workers divides its cores")
        return devices
    if per_gpu == "auto":
        measured = measure(spec, data, devices[0])
        count = best(measured)
        speeds = ", ".join(f"{each.count}: {each.speed:.4g}" for each in measured) or "none ran"
        say(f"images per second by processes on {devices[0].label}: {speeds}; {count} to each GPU")
    else:
        count = int(per_gpu)
    if count == 1:
        return devices
    return [
        replace(device, label=f"{device.label}, {index} of {count}", share=count)
        for index in range(1, count + 1)
        for device in devices
    ]


def best(measured: Sequence[Throughput]) -> int:
    """The best number of processes; 1 where not even one process could be measured."""
    chosen = Throughput(1, 0.0, True)
    for each in measured:
        if each.speed > chosen.speed * WORTH:
            chosen = each
    return chosen.count


def measure(spec: Spec, data: Path | None, device: Device, patience: float = PATIENCE) -> list[Throughput]:
    """One process on `device`, then two, then three, until another would not fit or did not run."""
    measured: list[Throughput] = []
    for count in range(1, MOST + 1):
        throughput = _together(count, spec, data, device, patience)
        if throughput is None:
            break
        measured.append(throughput)
        if not throughput.room:
            break
    return measured


# -- the processes -------------------------------------------------------------------------------


@dataclass
class TrainingProcess:
    """A process that trains, and its messages: one JSON line an epoch."""

    process: subprocess.Popen[str]
    epochs: list[dict[str, float]] = field(default_factory=list)
    listens: bool = True

    def listen(self) -> None:
        if self.process.stdout is not None:
            with self.process.stdout as lines:
                self.epochs.extend(map(json.loads, lines))
        self.listens = False

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


def _together(
    count: int, spec: Spec, data: Path | None, device: Device, patience: float
) -> Throughput | None:
    """Measures `count` processes at once; None where one of them ended or was too slow."""
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
        statistics.median(epoch["speed"] for epoch in child.epochs[1 : EPOCHS + 1]) for child in children
    )
    free, total = (min(child.epochs[EPOCHS][name] for child in children) for name in ("free", "total"))
    return Throughput(count, speed, free >= SPARE * (total - free) / count)


def _trained(children: Sequence[TrainingProcess], patience: float) -> bool:
    """Waits until every child has trained its epochs; False where one ended before, or took too long."""
    deadline = time.monotonic() + patience
    while waited_for := [child for child in children if len(child.epochs) <= EPOCHS]:
        # A child's last line may still be in the pipe when it has ended.
        ended = any(child.process.poll() is not None and not child.listens for child in waited_for)
        if ended or time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _spawn(job: Mapping[str, Any], environment: Mapping[str, str]) -> TrainingProcess:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "search.launcher.gpu_sharing", json.dumps(job)],
        stdin=subprocess.PIPE,  # closes with this process; the child then ends as well
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
        text=True,
    )
    child = TrainingProcess(process)
    threading.Thread(target=child.listen, daemon=True).start()
    return child


def _train(job: Mapping[str, Any]) -> None:
    """In the child: trains, and prints after every epoch how fast it was and how much memory is free."""
    objective = load_objective(job["objective"])
    config = configure(objective, job["params"])
    folder = Path(job["folder"])
    folder.mkdir()
    run = Run(folder, job["device"], data=None if job["data"] is None else Path(job["data"]))
    started = time.perf_counter()
    with closing(train(objective, config, run)) as results:
        for result in results:
            seconds = time.perf_counter() - started
            started += seconds
            speed = result.metrics.get("images_per_second", 1 / seconds)
            free, total = _memory(job["device"])
            print(json.dumps({"speed": speed, "free": free, "total": total}), flush=True)


def _memory(device: str) -> tuple[int, int]:
    """Free and total bytes of a CUDA device; of any other device, as if it had enough."""
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
