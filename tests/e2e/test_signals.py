"""Leaving when told: whatever a worker is doing, nothing is lost and the exit code says what it was."""

import os
import signal
import subprocess
import time

import pytest
from service import Search, runs

from search.runtime.signals import Interrupt, Interrupted, interruptible

SOON = 10.0  # seconds; a busy machine, and still well within anybody's grace period

SLOW_TO_IMPORT = """
import time
from pathlib import Path

Path("importing").touch()
time.sleep(300)
"""

SLUGGISH = """
import time
from search.objective import EpochResult

def train(config, run):
    for epoch in range(1, 61):
        time.sleep(1.5)
        if run.should_stop():
            return
        yield EpochResult(epoch=epoch, epochs=60, score=config["x"])
"""

STUBBORN = """
import time

def train(config, run):
    time.sleep(300)
"""


def use(search: Search, name: str, objective: str) -> None:
    """Makes this module the search's objective."""
    (search.folder / f"{name}.py").write_text(objective)
    document = (search.folder / "space.yaml").read_text()
    (search.folder / "space.yaml").write_text(document.replace("objective: toy", f"objective: {name}"))
    search.environment["PYTHONPATH"] = str(search.folder)


def leaves(process: subprocess.Popen[bytes], number: signal.Signals, code: int) -> None:
    """Signals a process, which must end soon with that code."""
    begun = time.monotonic()
    process.send_signal(number)
    assert process.wait(60) == code
    assert time.monotonic() - begun < SOON


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_worker_gives_its_trial_back(search: Search, number: signal.Signals) -> None:
    search.create("seconds=0.4", "epochs=60", trials=2)
    worker = search.spawn("worker")
    search.wait_for_epoch(0, 1)
    leaves(worker, number, 143)
    (record,) = search.records()
    assert (record.state, record.worker) == ("running", None)
    assert search.pids() == []


def test_between_trials(search: Search) -> None:
    """It waits for the last trial of another."""
    search.create("seconds=0.4", "epochs=60", trials=1)
    search.spawn("worker")
    search.wait_for_epoch(0, 1)
    worker = search.spawn("worker")
    search.wait(lambda: len(search.pids()) == 2)
    time.sleep(0.5)
    leaves(worker, signal.SIGTERM, 143)
    assert len(search.pids()) == 1 and search.records()[0].worker is not None
    search.run("stop", "--now")


def test_while_torch_is_imported(search: Search) -> None:
    search.create(trials=1)
    (search.folder / "toy.py").write_text(SLOW_TO_IMPORT)
    search.environment["PYTHONPATH"] = str(search.folder)
    worker = search.spawn("worker")
    search.wait((search.folder / "importing").exists)
    leaves(worker, signal.SIGTERM, 143)
    assert "Traceback" not in search.said
    assert search.pids() == [] and search.records() == []


def test_a_batch_system_signals_everybody(search: Search) -> None:
    """Slurm signals parent and children alike; what the parent passes on must not count as a second."""
    use(search, "sluggish", SLUGGISH)
    process = search.spawn("start", "--workers", "2", "--trials", "2")
    search.wait(lambda: len([record for record in search.records() if record.epochs]) == 2)
    for pid in search.pids():
        os.kill(pid, signal.SIGTERM)
    leaves(process, signal.SIGTERM, 143)
    assert {(record.state, record.worker) for record in search.records()} == {("running", None)}
    assert search.said.count("was given back") == 2


def test_the_second_signal_is_now(search: Search) -> None:
    (search.folder / "stubborn.py").write_text(
        "import time\n\ndef train(config, run):\n    time.sleep(300)\n"
    )
    document = (search.folder / "space.yaml").read_text()
    (search.folder / "space.yaml").write_text(document.replace("objective: toy", "objective: stubborn"))
    search.environment["PYTHONPATH"] = str(search.folder)
    search.run("start", "--workers", "0")
    worker = search.spawn("worker")
    search.wait(lambda: [record for record in search.records() if record.params])
    worker.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    assert runs(worker.pid), "it left without having ended its batch"
    leaves(worker, signal.SIGTERM, 143)


def test_at_once_is_where_nothing_is_held() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with interruptible() as interrupt:
        signal.raise_signal(signal.SIGUSR1)
        assert interrupt and interrupt.code == 143, "elsewhere it is only noted"
        with interrupt.at_once():
            raise AssertionError("a signal that was there already")
    assert signal.getsignal(signal.SIGUSR1) is before
    fresh = Interrupt()
    with pytest.raises(Interrupted), fresh.at_once():
        fresh._handle(signal.SIGTERM, None)
