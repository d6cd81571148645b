"""Leaving when told: whatever a worker is doing, nothing is lost and the exit code says what it was."""

import os
import signal
import subprocess

import pytest
from service import Search

from search.runtime.signals import Interrupt, Interrupted, interruptible

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
        time.sleep(1.0)
        if run.should_stop():
            return
        yield EpochResult(epoch=epoch, epochs=60, score=config["x"])
"""


def use(search: Search, name: str, objective: str) -> None:
    """Makes this module the search's objective."""
    (search.folder / f"{name}.py").write_text(objective)
    document = (search.folder / "space.yaml").read_text()
    (search.folder / "space.yaml").write_text(document.replace("objective: toy", f"objective: {name}"))
    search.environment["PYTHONPATH"] = str(search.folder)


def leaves(process: subprocess.Popen[bytes], number: signal.Signals, code: int) -> None:
    """Signals a process, which must end with that code, long before what it trains would."""
    process.send_signal(number)
    assert process.wait(60) == code


def test_a_worker_gives_its_trial_back(search: Search) -> None:
    search.create("seconds=0.4", "epochs=600", trials=2)
    worker = search.spawn("worker")
    search.wait_for_epoch(0, 1)
    leaves(worker, signal.SIGHUP, 143)
    (record,) = search.records()
    assert (record.state, record.worker) == ("running", None)
    assert search.pids() == []


def test_a_signal_during_the_imports_ends_the_worker(search: Search) -> None:
    search.create(trials=1)
    (search.folder / "toy.py").write_text(SLOW_TO_IMPORT)
    search.environment["PYTHONPATH"] = str(search.folder)
    worker = search.spawn("worker")
    search.wait((search.folder / "importing").exists)
    leaves(worker, signal.SIGTERM, 143)
    assert "Traceback" not in search.said
    assert search.pids() == [] and search.records() == []


def test_a_batch_system_may_signal_parent_and_children_at_once(search: Search) -> None:
    """As Slurm does: what the parent passes on must not count as a second signal."""
    use(search, "sluggish", SLUGGISH)
    process = search.spawn("start", "--workers", "2", "--trials", "2")
    search.wait(lambda: len([record for record in search.records() if record.epochs]) == 2)
    for pid in search.pids():
        os.kill(pid, signal.SIGUSR1)
    leaves(process, signal.SIGUSR1, 143)
    assert {(record.state, record.worker) for record in search.records()} == {("running", None)}
    assert search.said.count("was given back") == 2


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_only_where_nothing_is_held_a_signal_acts_at_once() -> None:
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
