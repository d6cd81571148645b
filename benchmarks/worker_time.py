"""What a worker does with its time, and how much several workers of one machine train together.

    python benchmarks/worker_time.py                         # drawn faces, this machine's device
    python benchmarks/worker_time.py --size 128 --images 160

First, one worker through ten trials of ten epochs, as `search worker` runs them on a SQLite file, with
every phase of a trial timed. A phase counts without the phases inside it, so that the shares add up to the
wall time. The first trial is listed separately: it loads the libraries' kernels and draws the data. Then,
on a CPU, one worker with all threads is compared with as many workers as there are cores, which share the
threads: total images per second, in alternation, with the spread over the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import yaml

from search.launcher.creation import StartOptions, open_or_create
from search.runtime.devices import Device, find_devices

STEPS = ("train", "validate")
LANDMARK = "claim"


def document(arguments: argparse.Namespace) -> dict[str, Any]:
    """A search of the stock space on drawn faces, whose trials all run to their end."""
    return {
        "objective": "search.mseg",
        "study": {"sampler": {"kind": "tpe", "seed": 0}, "pruner": {"kind": "none"}},
        "space": {
            "data": {
                "source": "drawn",
                "drawn_images": arguments.images,
                "image_size": arguments.size,
                "eval_size": "train",
            },
            "model": {"dropout": {"low": 0.0, "high": 0.3}},
            "optimizer": {
                "learning_rate": {"low": 2e-4, "high": 3e-3, "log": True},
                "weight_decay": {"low": 1e-5, "high": 1e-2, "log": True},
            },
            "schedule": {"warmup_epochs": 1},
            "loss": {"dice_weight": {"low": 0.5, "high": 3.0}},
            "trainer": {"epochs": 10, "batch_size": arguments.batch, "patience": None},
        },
    }


# -- one worker's time ---------------------------------------------------------------------------


class Stopwatch:
    """Wall seconds by phase; a phase inside another one stops the outer one's watch."""

    def __init__(self) -> None:
        self.trials: list[dict[str, float]] = [defaultdict(float)]
        self._phases = ["between"]
        self._since = time.perf_counter()

    def switch(self) -> None:
        now = time.perf_counter()
        self.trials[-1][self._phases[-1]] += now - self._since
        self._since = now

    def timed(self, owner: Any, name: str, phase: str) -> None:
        """Times every call of `owner.name` as `phase`; each LANDMARK begins a new trial."""
        call: Callable[..., Any] = getattr(owner, name)

        @wraps(call)
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            self.switch()
            if phase == LANDMARK:
                self.trials.append(defaultdict(float))
            self._phases.append(phase)
            try:
                return call(*arguments, **keywords)
            finally:
                self.switch()
                self._phases.pop()

        setattr(owner, name, wrapped)


def run_timed(url: str, name: str, runs: Path, device: str) -> list[dict[str, float]]:
    """Works on the study in this process; the phases' seconds, trial by trial."""
    import search.worker.worker as path
    from search.mseg import trainer
    from search.runtime.signals import Interrupt
    from search.study.open import open_study
    from search.worker.workspace import Workspace
    from storage.leases import Leases

    worker = path.Worker(open_study(url, name), runs, None, [Device(device, device)])
    watch = Stopwatch()
    watch.timed(trainer, "_pass", "train")
    watch.timed(trainer, "_validate", "validate")
    watch.timed(trainer, "_finish", "wait for the checkpoint")
    watch.timed(trainer, "write_history", "history.json")
    watch.timed(trainer, "load", "data")
    watch.timed(trainer, "build", "model and optimiser")
    watch.timed(path, "ask", "ask the sampler")
    watch.timed(worker.pruner, "decide", "prune or not")
    watch.timed(Leases, "claim", LANDMARK)
    watch.timed(Leases, "report", "report")
    watch.timed(Leases, "finish", "tell")
    watch.timed(Workspace, "open", "folder")
    watch.timed(Workspace, "publish", "folder")
    watch.timed(Workspace, "close", "folder")
    watch.timed(path, "free_disk", "tidy")
    worker.run(Interrupt())
    watch.switch()
    return watch.trials[1:-1]  # what is before the first claim, and the last claim, which finds nothing


def breakdown(trials: list[dict[str, float]]) -> str:
    first, *others = trials
    rest = {phase: sum(trial.get(phase, 0.0) for trial in others) for phase in {*first, *others[0]}}
    total = sum(rest.values())
    steps = sum(rest[step] for step in STEPS)
    lines = [
        f"| phase | first trial, s | {len(trials) - 1} further trials, s | share |",
        "|---|---|---|---|",
    ]
    for phase, seconds in sorted(rest.items(), key=lambda item: -item[1]):
        lines.append(f"| {phase} | {first.get(phase, 0.0):.3f} | {seconds:.3f} | {seconds / total:.2%} |")
    lines.append(f"| **train and validate** | | **{steps:.1f} of {total:.1f}** | **{steps / total:.2%}** |")
    return "\n".join(lines)


# -- several workers -----------------------------------------------------------------------------


def together(folder: Path, workers: int) -> float:
    """Images per second of `workers` that train one trial each at the same time, in total."""
    name = f"{workers}-workers-{time.time_ns()}"
    command = [str(Path(sys.executable).with_name("search")), "start", "--study", name]
    command += ["--space", "space.yaml", "--gpus", "none"]
    command += ["--workers", str(workers), "--trials", str(workers)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    total = 0.0
    for history in (folder / "runs" / name).glob("trial-*/history.json"):
        speeds = json.loads(history.read_text())["images_per_second"]
        total += statistics.median(speeds[1:-1])  # while the others train as well
    return total


def compare(folder: Path, workers: int, rounds: int) -> str:
    ones, manys = [], []
    for _ in range(rounds):
        ones.append(together(folder, 1))
        manys.append(together(folder, workers))
    ratios = [many / one for one, many in zip(ones, manys, strict=True)]
    return (
        f"| workers | images/s in total |\n|---|---|\n"
        f"| 1, with all threads | {spread(ones, '.1f')} |\n"
        f"| {workers}, with their share | {spread(manys, '.1f')} |\n"
        f"| ratio | {spread(ratios, '.2f')} |"
    )


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


# -- the command ---------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description="A worker's time, and several workers' throughput.")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--images", type=int, default=300, help="drawn faces, validation included")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3, help="of one worker beside several")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", help="a torch device; the first GPU, or the CPU")
    parser.add_argument(
        "--timed", nargs=4, metavar=("URL", "STUDY", "RUNS", "DEVICE"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.timed:
        url, name, runs, device = arguments.timed
        print(json.dumps(run_timed(url, name, Path(runs), device)))
        return
    place = find_devices("none" if arguments.device else "auto", 1, arguments.device)[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "space.yaml").write_text(yaml.safe_dump(document(arguments)))
        url = f"sqlite:///{folder / 'search.db'}"
        open_or_create(
            StartOptions(
                study="timed",
                url=url,
                runs=folder,
                data=None,
                space=folder / "space.yaml",
                trials=arguments.trials,
            )
        )
        command = [sys.executable, __file__, "--timed", url, "timed", name, place.name]
        done = subprocess.run(
            command, env={**os.environ, **place.environment}, stdout=subprocess.PIPE, text=True, check=True
        )
        print(breakdown(json.loads(done.stdout.splitlines()[-1])), flush=True)
        if place.name == "cpu" and arguments.workers > 1:
            print("\n" + compare(folder, arguments.workers, arguments.rounds))


if __name__ == "__main__":
    main()
