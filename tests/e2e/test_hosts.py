"""Machines that do not see each other's `runs/`: what one has trained, another continues."""

import json
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import toy
from service import Search
from toy_studies import steal
from trainings import assert_same_run

from search import mseg
from search.objective import EpochResult, Run
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.read import read_records
from search.study.study import Study
from search.worker import checkpoint_sync as shelf_module
from search.worker.checkpoint_sync import CheckpointSync
from search.worker.worker import Worker
from storage.checkpoints import Checkpoints

MSEG = """\
objective: search.mseg
study: {trials: 1, smooth: 2, sampler: {kind: random, seed: 7}, pruner: {kind: none}}
space:
  data: {source: drawn, image_size: 32, eval_size: train, drawn_images: 12, val_share: 0.34}
  model: {width_1: 8, width_2: 8, width_3: 8, width_4: 8, decoder_width: 8}
  optimizer: {learning_rate: {low: 1.0e-3, high: 2.0e-3}}
  schedule: {warmup_epochs: 1}
  trainer: {epochs: 3, batch_size: 4, patience: null}
"""


def host(search: Search, name: str, *flags: str) -> subprocess.Popen[bytes]:
    """A worker on a machine of its own, but for the database and what `flags` name."""
    return search.spawn("worker", "--runs", str(search.folder / name), *flags)


def stored(search: Search) -> int:
    """The epoch of the furthest checkpoint in the store."""
    found = [0]
    for path in (search.folder / "store").glob("*.json"):
        with suppress(ValueError, FileNotFoundError):  # it is being written
            found.append(json.loads(path.read_text())["epoch"])
    return max(found)


def first_epoch_of(search: Search, pid: int) -> int:
    """The first epoch that process `pid` has trained, by the toy's own log."""
    lines = (search.folder / "epochs.log").read_text().splitlines()
    return min(int(epoch) for _, epoch, by in map(str.split, lines) if int(by) == pid)


# -- kill -9 ---------------------------------------------------------------------------------------


def test_another_machine_goes_on_with_the_trial_of_a_killed_worker(search_on_postgres: Search) -> None:
    search = search_on_postgres
    store = ["--artifacts", str(search.folder / "store")]
    search.create("seconds=0.25", "epochs=20", trials=1)
    first = host(search, "here", *store)
    search.wait(lambda: stored(search) >= 6)
    time.sleep(0.05)
    first.kill()
    first.wait()
    epoch = stored(search)
    second = host(search, "there", *store)
    search.ends(second)
    assert first_epoch_of(search, second.pid) == epoch + 1
    assert sum(search.trained().values()) <= 21, "at most the epoch it was in is trained again"
    (record,) = search.records()
    assert (record.state, record.attempts, len(record.curve)) == ("complete", 2, 20)
    assert "from the artifact store" in (search.folder / "there/toy/trial-0000/log.txt").read_text()
    assert not list((search.folder / "store").glob("toy-*")), "the trial has ended: no checkpoint stays"


def test_a_change_of_machines_leaves_no_trace_in_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In this process; `test_kills.py` kills one that trains."""
    caplog.set_level(logging.INFO)
    torch.set_num_threads(1)
    search, straight = (
        Search(tmp_path / name, f"sqlite:///{tmp_path / name}.db", MSEG) for name in ("moved", "straight")
    )
    interrupt, found = Interrupt(), search.create()
    first, second = worker(search, found, "here"), worker(search, found, "there")
    with monkeypatch.context() as patch:
        patch.setattr(mseg, "train", leaving(interrupt, after=1, train=mseg.train))
        assert first.run(interrupt) == 143
    assert stored(search) == 1
    assert second.run(Interrupt()) == 0
    (record,) = search.records()
    assert (record.state, record.attempts) == ("complete", 2)
    moved = search.folder / "there/toy/trial-0000"
    assert "from the artifact store" in (moved / "log.txt").read_text()
    alone = Worker(straight.create(), straight.folder / "here", None, [Device("cpu", "cpu")])
    assert alone.run(Interrupt()) == 0
    assert_same_run(moved, straight.folder / "here/toy/trial-0000")


# -- one process -----------------------------------------------------------------------------------


def worker(search: Search, study: Study, name: str, train: Any = None) -> Worker:
    """A worker of this process on a machine called `name`, with a store that all share."""
    store = str(search.folder / "store")
    found = Worker(study, search.folder / name, None, [Device("cpu", "cpu")], artifacts=store)
    found.leases.seconds = 2.0
    if train is not None:
        found.objective = SimpleNamespace(configure=toy.configure, describe=toy.describe, train=train)
    return found


def leaving(
    interrupt: Interrupt, after: int, train: Any = toy.train
) -> Callable[[Any, Run], Iterator[EpochResult]]:
    """Trains like this, and the worker gets a SIGTERM after an epoch."""

    def trained(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in train(config, run):
            if result.epoch == after:
                interrupt.signal = signal.SIGTERM
            yield result

    return trained


@pytest.fixture
def logged(search: Search, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Search:
    """The toy's own log, and what workers of this process say."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("SEARCH_TOY_LOG", str(search.folder))
    return search


def test_a_trial_is_given_back_with_its_checkpoint(
    logged: Search, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where no upload was due since: uploads cost so much here that only the first one is."""
    monkeypatch.setattr(shelf_module, "SHARE", 1e-9)
    study = logged.create("epochs=6", "seconds=0.02", trials=1)
    interrupt = Interrupt()
    assert worker(logged, study, "here", leaving(interrupt, after=4)).run(interrupt) == 143
    assert stored(logged) == 4
    assert worker(logged, study, "there").run(Interrupt()) == 0
    assert "continues after epoch 4, from the artifact store" in caplog.text
    assert set(logged.trained().values()) == {1} and len(logged.trained()) == 6


def test_a_local_checkpoint_further_than_the_stored_one_is_continued(
    logged: Search, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = logged.create("epochs=6", "seconds=0.02", trials=1)
    interrupt = Interrupt()
    with monkeypatch.context() as patch:
        patch.setattr(shelf_module, "SHARE", 1e-9)
        patch.setattr(CheckpointSync, "upload_and_wait", lambda *_: None)
        assert worker(logged, study, "here", leaving(interrupt, after=4)).run(interrupt) == 143
    assert stored(logged) == 1
    assert worker(logged, study, "here").run(Interrupt()) == 0
    assert "continues after epoch 4, from this machine" in caplog.text
    assert len(logged.trained()) == 6


def test_without_a_store_another_machine_restarts_the_trial_and_says_so(
    logged: Search, caplog: pytest.LogCaptureFixture
) -> None:
    study = logged.create("epochs=6", "seconds=0.02", trials=1)
    interrupt = Interrupt()
    here, there = (
        Worker(study, logged.folder / name, None, [Device("cpu", "cpu")]) for name in ("here", "there")
    )
    train = leaving(interrupt, after=2)
    here.objective = SimpleNamespace(configure=toy.configure, describe=toy.describe, train=train)
    assert here.run(interrupt) == 143
    assert there.run(Interrupt()) == 0
    assert "not on this machine (an --artifacts store shared by all workers would have it)" in caplog.text
    assert [logged.trained()[0, epoch] for epoch in range(1, 7)] == [2, 2, 1, 1, 1, 1]
    (record,) = logged.records()
    assert (record.state, len(record.curve)) == ("complete", 6)


def test_checkpoints_of_another_database_are_not_continued(logged: Search, tmp_path: Path) -> None:
    """Of a study of the same name: neither the folder nor the store is this one's."""
    interrupt = Interrupt()
    before = logged.create("epochs=6", "seconds=0.02", trials=1)
    worker(logged, before, "here", leaving(interrupt, after=4)).run(interrupt)
    logged.url = f"sqlite:///{tmp_path / 'other.db'}"
    after = logged.create("epochs=6", "x=0.5", trials=1)
    assert worker(logged, after, "here").run(Interrupt()) == 0
    (record,) = read_records(after)
    assert record.curve == [toy.score({"x": 0.5}, epoch) for epoch in range(1, 7)]


def test_uploads_take_no_more_than_their_share_of_the_time(
    logged: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent: list[float] = []

    def save(self: Checkpoints, *_: object) -> None:
        before = time.thread_time()
        while time.thread_time() - before < 0.02:
            pass
        spent.append(time.thread_time() - before)

    monkeypatch.setattr(Checkpoints, "save", save)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(shelf_module, "SHARE", 0.05)
    begun = time.monotonic()
    study = logged.create("epochs=40", "seconds=0.05", trials=1)
    assert worker(logged, study, "here").run(Interrupt()) == 0
    assert len(spent) >= 2
    assert sum(spent[:-1]) < 0.05 * (time.monotonic() - begun)  # the last one's time is still to come


# -- a store that fails ----------------------------------------------------------------------------


def test_a_store_that_breaks_costs_no_trial(logged: Search, caplog: pytest.LogCaptureFixture) -> None:
    study = logged.create("epochs=4", trials=1)
    mine = worker(logged, study, "here")
    store = logged.folder / "store"
    store.rmdir()
    store.write_text("in the way")
    assert mine.run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, len(record.curve), record.attempts) == ("complete", 4, 1)
    assert "the artifact store: " in caplog.text and "Not a directory" in caplog.text


def test_a_store_that_hangs_costs_no_trial(
    logged: Search, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shelf_module, "PATIENCE_SECONDS", 0.2)
    release = threading.Event()
    monkeypatch.setattr(Checkpoints, "save", lambda *_: release.wait())
    study = logged.create("epochs=6", "seconds=0.02", trials=1)
    assert worker(logged, study, "here").run(Interrupt()) == 0
    release.set()
    (record,) = read_records(study)
    assert (record.state, len(record.curve)) == ("complete", 6)
    assert "the artifact store did not answer in time" in caplog.text


def test_without_the_lease_nothing_is_uploaded(logged: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf_module, "SHARE", 1e-9)  # after the first one only who leaves uploads
    study = logged.create("epochs=6", "seconds=0.02", trials=1)
    interrupt = Interrupt()

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in leaving(interrupt, after=4)(config, run):
            if result.epoch == 4:
                steal(study)
            yield result

    worker(logged, study, "here", train).run(interrupt)
    assert stored(logged) == 1
