"""Several workers on one device, and what can happen to them; parts of `gpu.sh`.

    python benchmarks/gpu_service.py workers --device cuda  # images per second of 1, 2, 3 and 6 workers
    python benchmarks/gpu_service.py kill --device cuda  # kill -9 of a worker: is its trial taken over?
    python benchmarks/gpu_service.py neighbour --device cuda  # another process has nearly all of the memory
    python benchmarks/gpu_service.py assert --device cuda  # a kernel fails on the device

Each is a search of its own on drawn faces, in a temporary folder. What a search must hold is checked: it
uses its budget exactly, and no trial stays running. The rest is printed, to be read.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

SEARCH = (sys.executable, "-P", "-m", "search")
SPARE_BYTES = 2**29  # what a neighbour leaves free
PATIENCE = 120.0

FAILING = """
import torch
from search.mseg import configure, train as plain, vocabulary

def train(config, run):
    for result in plain(config, run):
        yield result
        if result.epoch == 2:
            labels = torch.full((4,), 9, device=run.device)
            torch.nn.functional.nll_loss(torch.zeros(4, 3, device=run.device), labels).item()
"""
"""An objective whose second epoch ends in a label that there is no class for: a device-side assert."""


class Service:
    """A study in a folder of its own."""

    def __init__(self, folder: Path, device: str, size: int, objective: str = "search.mseg") -> None:
        self.folder = folder
        self.place = ["--gpus", "0"] if device.startswith("cuda") else ["--gpus", "none"]
        self.common = ["--study", "gpu"]
        document = {
            "objective": objective,
            "study": {"sampler": {"kind": "random", "seed": 0}, "pruner": {"kind": "none"}},
            "space": {
                "data": {
                    "source": "drawn",
                    "drawn_images": 160,
                    "image_size": size,
                    "eval_size": "train",
                },
                "optimizer": {"learning_rate": {"low": 2e-4, "high": 3e-3, "log": True}},
                "schedule": {"warmup_epochs": 1},
                "trainer": {"epochs": 5, "batch_size": 16, "patience": None},
            },
        }
        (folder / "space.yaml").write_text(yaml.safe_dump(document))

    def start(self, workers: int, trials: int) -> subprocess.Popen[str]:
        command = [*SEARCH, "start", *self.common, "--space", "space.yaml", *self.place]
        command += ["--workers", str(workers), "--trials", str(trials)]
        environment = os.environ | {"PYTHONPATH": f"{self.folder}:{os.environ.get('PYTHONPATH', '')}"}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def asked(self, command: str) -> Any:
        done = subprocess.run(
            [*SEARCH, command, *self.common, "--json"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    def finish(self, running: subprocess.Popen[str], trials: int) -> None:
        """Waits for the end, prints how each trial ended, and checks the budget."""
        try:
            said, _ = running.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGTERM)
            said, _ = running.communicate()
            print(f"not over after {PATIENCE:.0f} s")
        print("\n".join(said.strip().splitlines()[-12:]))
        for trial in self.asked("trials"):
            end = f"{trial['state']}, {trial['attempts']} attempts, {trial['reason']}"
            print(f"trial {trial['number']}: {end}")
        budget = self.asked("status")["budget"]
        print(budget)
        if budget["claimed"] != trials or budget["running"]:
            raise SystemExit("the budget was not used exactly")


def workers(service: Service, arguments: argparse.Namespace) -> None:
    """Images per second in total while all of them train, by their number."""
    print("| workers | images/s in total |\n|---|---|")
    for count in arguments.counts:
        service.common = ["--study", f"gpu-{count}"]
        running = service.start(count, count)
        said, _ = running.communicate()
        if running.returncode:
            print(said)
            raise SystemExit(f"--workers {count}: exit code {running.returncode}")
        histories = sorted((service.folder / "runs" / f"gpu-{count}").glob("trial-*/history.json"))
        speeds = [json.loads(path.read_text())["images_per_second"] for path in histories]
        print(f"| {count} | {sum(statistics.median(each[1:]) for each in speeds):.1f} |", flush=True)


def kill(service: Service, arguments: argparse.Namespace) -> None:
    """kill -9 of one of two workers once it trains."""
    running = service.start(2, 3)
    victim: int | None = None
    until = time.monotonic() + PATIENCE
    while victim is None and time.monotonic() < until and running.poll() is None:
        time.sleep(1)
        if not (service.folder / "runs" / "search.db").exists():
            continue
        trials = [trial for trial in service.asked("trials") if trial["epochs"]]
        seats = {each["trial"]: each["pid"] for each in service.asked("status")["workers"]}
        victim = next((seats[trial["number"]] for trial in trials if trial["number"] in seats), None)
    if victim is None:
        running.terminate()
        print(running.communicate()[0])
        raise SystemExit("no worker trained an epoch")
    os.kill(victim, signal.SIGKILL)
    print(f"killed {victim}")
    service.finish(running, 3)


def neighbour(service: Service, arguments: argparse.Namespace) -> None:
    """Two trials beside a process that leaves half a gigabyte of the memory."""
    if not arguments.device.startswith("cuda"):
        print("skipped: needs a GPU")
        return
    free = torch.cuda.mem_get_info()[0]
    hold = torch.empty(max(0, free - SPARE_BYTES), dtype=torch.uint8, device="cuda")
    service.finish(service.start(1, 2), 2)
    del hold


def device_assert(service: Service, arguments: argparse.Namespace) -> None:
    """Two trials of an objective whose label has no class."""
    (service.folder / "failing.py").write_text(FAILING)
    service.finish(service.start(1, 2), 2)


CHECKS = {"workers": workers, "kill": kill, "neighbour": neighbour, "assert": device_assert}


def main() -> None:
    parser = argparse.ArgumentParser(description="Several workers on one device, and what can happen.")
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 3, 6])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        objective = "failing" if arguments.check == "assert" else "search.mseg"
        service = Service(Path(name), arguments.device, arguments.size, objective)
        CHECKS[arguments.check](service, arguments)


if __name__ == "__main__":
    main()
