"""A process that trains an example config until it is ended, and says when it finished each epoch."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from search.loading import configure, load_objective, train
from search.objective import Run
from search.runtime.devices import Device
from search.spec.spec import Spec


@dataclass(frozen=True, slots=True)
class Epoch:
    """What the process says after an epoch.

    Attributes:
        at: when it ended, in seconds of the machine's monotonic clock, which all processes share.
        images: how many it had; None where the objective counts none.
        free, total: bytes of the device's memory.
    """

    at: float
    images: float | None
    free: int
    total: int


@dataclass
class TrainingProcess:
    """The process, what it has said so far, and the file with its standard error."""

    process: subprocess.Popen[str]
    errors: Path
    epochs: list[Epoch] = field(default_factory=list)
    listens: bool = True

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, and everything that it said is in `epochs`."""
        return self.process.poll() is not None and not self.listens

    @property
    def last_words(self) -> str:
        """The last line of its standard error."""
        lines = self.errors.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self.process.poll()}, no output"

    def listen(self) -> None:
        if self.process.stdout is not None:
            with self.process.stdout as lines:
                self.epochs.extend(Epoch(**json.loads(line)) for line in lines)
        self.listens = False

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


def spawn(spec: Spec, data: Path | None, device: Device, folder: Path) -> TrainingProcess:
    """Starts a process that trains on `device` and writes below `folder`, which it creates."""
    folder.mkdir()
    job = {
        "objective": spec.objective,
        "params": spec.example(),
        "device": device.name,
        "data": None if data is None else str(data),
        "folder": str(folder),
    }
    errors = folder / "errors"
    with errors.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "search.launcher.training_process", json.dumps(job)],
            stdin=subprocess.PIPE,  # closes with this process; the child then ends as well
            stdout=subprocess.PIPE,
            stderr=file,
            env={**os.environ, **device.environment},
            text=True,
        )
    child = TrainingProcess(process, errors)
    threading.Thread(target=child.listen, daemon=True).start()
    return child


def _train(job: Mapping[str, Any]) -> None:
    """In the child: trains again and again, and prints a line after every epoch."""
    objective = load_objective(job["objective"])
    config = configure(objective, job["params"])
    data = None if job["data"] is None else Path(job["data"])
    for number in count():
        folder = Path(job["folder"]) / f"trial-{number:04d}"
        folder.mkdir()
        started = before = time.monotonic()
        with closing(train(objective, config, Run(folder, job["device"], data=data))) as results:
            for result in results:
                now = time.monotonic()
                speed = result.metrics.get("images_per_second")
                images = None if speed is None else speed * (now - before)
                free, total = _memory(job["device"])
                print(json.dumps({"at": now, "images": images, "free": free, "total": total}), flush=True)
                before = now
        if before == started:
            sys.exit("the objective trained no epoch")
        shutil.rmtree(folder)


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
