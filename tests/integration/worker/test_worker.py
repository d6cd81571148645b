"""One worker in this process: how trials end, what is published, what an outage costs."""

import errno
import itertools
import json
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy
from optuna import TrialPruned
from service import Search
from sqlalchemy.exc import OperationalError
from toy_studies import steal

from search.errors import MachineError
from search.objective import EpochResult, Run
from search.records import Record
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.samplers.ask import ask
from search.study.read import read_records
from search.study.study import Study
from search.worker import out_of_memory, outcome, retry
from search.worker import worker as worker_module
from search.worker.cleanup import KEPT
from search.worker.worker import Worker
from search.worker.workspace import Workspace
from storage import reads, studies, tables
from storage.claims import Lease
from storage.leases import Leases

SECONDS = 0.4  # of a lease


@pytest.fixture(autouse=True)
def quick(search: Search, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Pauses that are made for nights are cut for tests; the log is as full as `search worker` has it."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("SEARCH_TOY_LOG", str(search.folder))
    monkeypatch.setattr(worker_module, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(out_of_memory, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(retry, "RETRY_SECONDS", (0.02, 0.1))


def make(search: Search, study: Study, objective: Any = None) -> Worker:
    found = Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")])
    found.leases.seconds = SECONDS
    if objective is not None:
        found.objective = objective
    return found


def work(search: Search, *overrides: str, trials: int = 1, objective: Any = None) -> list[Record]:
    """The study's trials after one worker has worked on it."""
    study = search.create(*overrides, trials=trials)
    assert make(search, study, objective).run(Interrupt()) == 0
    return read_records(study)


def steal_for_good(study: Study) -> None:
    """Steals every running trial; a worker that has lost one leaves, and does not wait for the thief."""
    steal(study)
    studies.set_stop(study.engine, study.id, "drain")


def toy_with(train: Callable[[Any, Run], Iterator[EpochResult]]) -> SimpleNamespace:
    """The toy with another way to train."""
    return SimpleNamespace(configure=toy.configure, describe=toy.describe, train=train)


def scripted(scores: list[float]) -> SimpleNamespace:
    """The toy with these scores, one per epoch."""

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for epoch, score in enumerate(scores, 1):
            yield EpochResult(epoch=epoch, epochs=len(scores), score=score)

    return toy_with(train)


# -- how trials end --------------------------------------------------------------------------------


def test_trials_take_turns_with_as_many_seeds_as_the_study_says(search: Search, command: Any) -> None:
    records = work(search, "study.seeds=3", trials=5)
    seeds = [record.seed for record in records]
    assert seeds[:2] == seeds[3:] and len(set(seeds)) == 3
    refused = command("start", "--seeds", "2", "--workers", "0", code=2)
    assert "study.seeds 3 (asked: 2)" in refused.err


def test_a_complete_trial_has_its_curve_value_and_files(search: Search) -> None:
    (record,) = work(search)
    assert (record.state, record.reason, record.known) == ("complete", None, "by hand")
    curve = [toy.score({"x": 0.3}, epoch) for epoch in (1, 2, 3, 4)]
    assert record.curve == curve
    assert record.value == pytest.approx((curve[2] + curve[3]) / 2)
    assert (record.best_score, record.best_epoch, record.last) == (curve[3], 4, curve[3])
    folder = search.runs / "trial-0000"
    assert sorted(path.name for path in folder.iterdir()) == ["last.pt", "log.txt"]
    assert "epoch 4 of 4: 0.7500" in (folder / "log.txt").read_text()


def test_a_trial_that_stops_early_is_complete(search: Search) -> None:
    (record,) = work(search, "trouble=early")
    assert record.state == "complete"
    assert record.reason is not None and (record.reason.code, record.reason.epoch) == ("early_stop", 2)
    assert len(record.curve) == 2


def test_out_of_memory_is_told_to_the_sampler(search: Search) -> None:
    (record,) = work(search, "trouble=memory")
    assert record.state == "pruned"
    assert record.reason is not None and (record.reason.code, record.reason.epoch) == ("oom", 1)
    assert record.reason.text == "out of memory: no room for the batch"
    assert record.value == record.curve[0] == record.last


def test_a_diverged_trial_keeps_its_last_finite_value(search: Search) -> None:
    (record,) = work(search, "trouble=nan")
    assert record.state == "pruned"
    assert record.reason is not None and (record.reason.code, record.reason.epoch) == ("diverged", 3)
    assert len(record.curve) == 2 and record.last == record.curve[1]
    (frozen,) = search.create("trouble=nan").optuna.trials  # what the sampler sees
    assert frozen.value == record.curve[1]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1.5e308])
def test_divergence_in_the_first_epoch(search: Search, score: float) -> None:
    records = work(search, trials=2, objective=scripted([score, 0.5]))
    assert [record.state for record in records] == ["pruned", "pruned"]
    assert records[0].curve == [] and records[0].value is None
    assert records[1].params, "the sampler takes a pruned trial without any value"


def test_a_bug_keeps_its_traceback(search: Search) -> None:
    (record,) = work(search, "trouble=bug")
    assert record.state == "failed"
    assert record.reason is not None and (record.reason.code, record.reason.epoch) == ("bug", 1)
    assert "Traceback" in record.reason.text and "toy.py" in record.reason.text
    assert record.reason.text.splitlines()[-1] == "ZeroDivisionError: the objective has a bug"


def test_three_bugs_in_a_row_stop_the_study(search: Search) -> None:
    records = work(search, "trouble=bug", trials=9)
    assert [record.state for record in records] == ["failed"] * 3
    found = search.study()
    assert found is not None and found.row.stop == "bugs"


def test_a_value_that_is_not_applied_is_a_bug(search: Search) -> None:
    (record,) = work(search, "trouble=not applied")
    assert record.state == "failed"
    assert record.reason is not None and record.reason.code == "bug"
    assert "x: 0.3 was sampled, but the trainer uses 0.123" in record.reason.text


def test_an_objective_that_trains_nothing_is_a_bug(search: Search) -> None:
    (record,) = work(search, objective=scripted([]))
    assert record.state == "failed" and record.reason is not None
    assert "without training an epoch" in record.reason.text


def test_a_device_error_ends_the_process_not_the_trial(search: Search) -> None:
    """Five owners die in it, each after the epoch that is there already; the sixth gives it up."""
    study = search.create("trouble=device", trials=1)
    for death in range(outcome.MAX_DEATHS):
        with pytest.raises(RuntimeError, match="CUDA error"):
            make(search, study).run(Interrupt())
        (record,) = read_records(study)
        assert (record.state, record.attempts, len(record.curve)) == ("running", death + 1, 1)
    assert make(search, study).run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, record.attempts) == ("failed", 6)
    assert record.reason is not None and record.reason.code == "bug"
    assert "5 workers died in it in a row, after epoch 1" in record.reason.text


def test_deaths_that_got_further_are_not_counted(search: Search) -> None:
    """A trial that loses an owner in every epoch ends all the same."""

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        last = run.dir / "last.pt"
        done = int(last.read_text()) if last.exists() else 0
        if done:
            yield EpochResult(epoch=done, epochs=8, score=0.1 * done, resumed=True)
        if done < 8:
            last.write_text(str(done + 1))
            yield EpochResult(epoch=done + 1, epochs=8, score=0.1 * (done + 1))
        if done < 7:
            raise RuntimeError("CUDA error: unspecified launch failure")

    study = search.create(trials=1)
    objective = toy_with(train)
    for _ in range(7):
        with pytest.raises(RuntimeError, match="CUDA error"):
            make(search, study, objective).run(Interrupt())
    assert make(search, study, objective).run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, record.attempts, record.epochs) == ("complete", 8, 8)


# -- the lease -------------------------------------------------------------------------------------


def test_without_the_lease_nothing_is_published(search: Search) -> None:
    study = search.create("seconds=0.02", "epochs=6", trials=1)

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in toy.train(config, run):
            if result.epoch == 3:
                steal_for_good(study)
            yield result
            assert result.epoch < 3, "trains on without the lease"

    mine = make(search, study, toy_with(train))
    assert mine.run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, record.worker, len(record.curve)) == ("running", "thief", 2)
    folder = search.runs / "trial-0000"
    assert json.loads((folder / "last.pt").read_text()) == {"epoch": 2}
    assert sorted(path.name for path in folder.iterdir()) == [".epoch", "last.pt", "log.txt"]


def test_who_lost_the_lease_ends_in_the_middle_of_an_epoch(search: Search) -> None:
    study = search.create("seconds=60.0", trials=1)
    mine = make(search, study)

    def steal_and_stop() -> None:
        search.wait(lambda: (s := search.snapshot()) and s.budget.running)
        steal_for_good(study)

    threading.Thread(target=steal_and_stop).start()
    begun = time.monotonic()
    assert mine.run(Interrupt()) == 0
    assert time.monotonic() - begun < 30, "of an epoch of a minute"


def test_who_lost_the_lease_after_the_last_epoch_tells_nothing(search: Search) -> None:
    study = search.create(trials=1)

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        yield from toy.train(config, run)
        (run.dir / "mine.tmp").write_text("mine")
        (run.dir / "mine.tmp").replace(run.dir / "last.pt")
        steal_for_good(study)

    mine = make(search, study, toy_with(train))
    assert mine.run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, record.worker) == ("running", "thief")
    assert json.loads((search.runs / "trial-0000" / "last.pt").read_text()) == {"epoch": 4}


def test_an_error_of_who_lost_the_lease_is_no_result(search: Search) -> None:
    """Its folder may be gone by then: its successor has ended the trial and tidied up."""
    study = search.create(trials=1)

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in toy.train(config, run):
            yield result
            steal_for_good(study)
            shutil.rmtree(run.dir)

    mine = make(search, study, toy_with(train))
    assert mine.run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, record.worker, len(record.curve)) == ("running", "thief", 1)


def test_asked_to_leave_it_gives_its_trial_back(search: Search) -> None:
    study = search.create("seconds=0.05", "epochs=8", trials=2)
    interrupt = Interrupt()

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in toy.train(config, run):
            yield result
            if result.epoch == 3:
                interrupt.signal = 2

    objective = toy_with(train)
    assert make(search, study, objective).run(interrupt) == 130
    (record,) = read_records(study)
    assert (record.state, record.worker, len(record.curve)) == ("running", None, 3)
    assert make(search, study).run(Interrupt()) == 0
    first, second = read_records(study)
    assert (first.state, first.attempts, len(first.curve)) == ("complete", 2, 8)
    assert second.attempts == 1
    assert set(search.trained().values()) <= {1}


def test_it_waits_for_the_last_trial_of_others(search: Search) -> None:
    """A budget that is claimed is not yet used up: the other may die. It leaves when told."""
    study = search.create(trials=1)
    other = make(search, study).leases
    other.join("elsewhere")
    lease = other.claim()
    assert isinstance(lease, Lease)
    told = Interrupt()
    threading.Timer(0.2, told._handle, [signal.SIGTERM, None]).start()
    assert make(search, study).run(told) == 143
    (record,) = read_records(study)
    assert (record.state, record.attempts) == ("running", 1) and record.worker is not None
    giver = threading.Timer(0.3, other.release, [lease])
    giver.start()
    assert make(search, study).run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, record.attempts) == ("complete", 2)


def test_a_config_is_stored_whole_or_not_at_all(search: Search) -> None:
    """Whoever asks again, after a lost answer or a death, has the same; who lost it stores nothing."""
    study = search.create(trials=2)
    slow, quick = make(search, study).leases, make(search, study).leases
    for leases in (slow, quick):
        leases.join("elsewhere")
    lost = slow.claim()
    assert isinstance(lost, Lease)
    slow.leave()
    lease = quick.claim()
    assert isinstance(lease, Lease) and lease.trial_id == lost.trial_id
    assert ask(study, slow, lost) is None
    assert study.samples.of(lease.trial_id) == {}
    task = ask(study, quick, lease)
    assert task is not None and {"x", "kind", "epochs"} <= task.params.keys()
    assert ask(study, quick, lease) == task
    assert dict(reads.trial_rows(study.engine, study.id)[0].params).items() <= task.params.items()


# -- the database is away --------------------------------------------------------------------------


def test_what_was_not_reported_goes_from_owner_to_owner(tmp_path: Path) -> None:
    """One that is frozen finds its own folder as it was; the next but one has it from the one between."""
    first, second, third = (Workspace(tmp_path, 0, name * 32, "study") for name in "abc")
    first.open()
    (first.work / "last.pt").write_text("epoch 3")
    unreported = [EpochResult(epoch=epoch, epochs=9, score=0.1 * epoch) for epoch in (2, 3)]
    first.note_unreported(unreported)
    for before, after in (("a" * 32, second), ("b" * 32, third)):
        assert after.open(before) == unreported
        assert (after.epoch, (after.work / "last.pt").read_text()) == (3, "epoch 3")
    assert (first.work / "last.pt").exists()
    third.publish(3, {})
    assert Workspace(tmp_path, 0, "d" * 32, "study").open("c" * 32) == [], "it was reported"
    assert Workspace(tmp_path, 0, "e" * 32, "another study").open("a" * 32) == []


class Outage:
    """While `away`, every transaction of a worker fails as it does on a connection that broke."""

    def __init__(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        for name in ("beat", "claim", "report", "finish", "release", "leave"):
            monkeypatch.setattr(worker.leases, name, self._failing(getattr(worker.leases, name)))

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            if self.away:
                raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))
            return call(*arguments)

        return called


def test_training_goes_on_while_the_database_is_away(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = search.create("seconds=0.02", "epochs=9", trials=1)
    stored: list[int] = []

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in toy.train(config, run):
            outage.away = 3 <= result.epoch <= 6
            yield result
            stored.append(len(read_records(study)[0].curve))

    mine = make(search, study, toy_with(train))
    mine.leases.seconds = 0.06  # a beat every 10 ms: the return is heard within an epoch
    outage = Outage(mine, monkeypatch)
    assert mine.run(Interrupt()) == 0
    assert stored[:6] == [1, 2, 2, 2, 2, 2], "the outage was none"
    (record,) = read_records(study)
    assert record.curve == [toy.score({"x": 0.3}, epoch) for epoch in range(1, 10)]
    assert (record.state, record.attempts) == ("complete", 1)
    assert set(search.trained().values()) == {1}


def test_an_outage_at_the_end_of_a_trial_is_sat_out(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = search.create(trials=1)

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in toy.train(config, run):
            outage.away = result.epoch >= 3
            yield result
        threading.Timer(0.3, lambda: setattr(outage, "away", False)).start()

    mine = make(search, study, toy_with(train))
    outage = Outage(mine, monkeypatch)
    assert mine.run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, len(record.curve)) == ("complete", 4)


def test_it_leaves_when_asked_though_the_database_is_away(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = search.create(trials=1)
    interrupt = Interrupt()

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in toy.train(config, run):
            outage.away = result.epoch >= 3
            yield result
        threading.Timer(0.2, lambda: interrupt._handle(15, None)).start()

    mine = make(search, study, toy_with(train))
    outage = Outage(mine, monkeypatch)
    begun = time.monotonic()
    assert mine.run(interrupt) == 143
    assert time.monotonic() - begun < 10
    with study.engine.begin() as connection:  # its process is this one, which the next would see alive
        connection.execute(tables.workers.update().values(started="an earlier one"))
    assert make(search, study).run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, record.attempts, len(record.curve)) == ("complete", 2, 4)
    assert set(search.trained().values()) == {1}, "what was trained meanwhile was trained again"


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_step_of_a_workers_own_clock_costs_nothing(
    search: Search, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """Leases go by the database's clock, and pauses by one that nobody sets."""
    study = search.create("seconds=0.02", "epochs=8", trials=2)
    really = time.time

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in toy.train(config, run):
            if result.epoch == 3:
                monkeypatch.setattr(time, "time", lambda: really() + step)
            yield result

    first, second = make(search, study, toy_with(train)), make(search, study, toy_with(train))
    beside = threading.Thread(target=second.run, args=[Interrupt()])
    beside.start()
    assert first.run(Interrupt()) == 0
    beside.join()
    assert {(record.state, record.attempts) for record in read_records(study)} == {("complete", 1)}
    assert set(search.trained().values()) == {1}


def test_an_outage_at_the_first_sample_is_no_bug(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    study = search.create(trials=1)
    mine = make(search, study)
    really = mine.leases.sampled
    answers = itertools.chain([OperationalError("INSERT", {}, Exception("gone"))], itertools.repeat(None))

    def sometimes(*arguments: Any) -> bool:
        if (error := next(answers)) is not None:
            raise error
        return really(*arguments)

    monkeypatch.setattr(mine.leases, "sampled", sometimes)
    assert mine.run(Interrupt()) == 0
    (record,) = read_records(study)
    assert record.state == "complete", record.reason


# -- samplers and pruners --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sampler", ["tpe, n_startup_trials: 5", "gp, n_startup_trials: 5", "random", "qmc"]
)
def test_every_sampler_runs_a_study_without_drawing_a_config_twice(search: Search, sampler: str) -> None:
    records = work(search, f"study.sampler={{kind: {sampler}, seed: 3}}", "epochs=1", trials=9)
    assert {record.state for record in records} == {"complete"}
    assert records[0].params == {"x": 0.3, "kind": "plain"} and records[0].known == "by hand"
    assert not any(record.known for record in records[1:])
    drawn = [record.params["x"] for record in records]
    assert len(set(drawn)) == 9 and all(0 <= x <= 1 for x in drawn)
    for record in records:
        assert ("bend" in record.params) == (record.params["kind"] == "bent")
        assert record.params.get("bend", 1) in range(1, 10)
    assert {record.params["kind"] for record in records} == {"plain", "bent"}


def test_tpe_learns_from_the_trials_before(search: Search) -> None:
    records = work(search, "study.sampler={kind: tpe, seed: 3}", "epochs=1", trials=30)
    early, late = ([abs(r.params["x"] - 0.3) for r in part] for part in (records[1:11], records[20:]))
    assert sum(late) / len(late) < sum(early) / len(early)


PRUNERS = {
    "median": ", startup_trials: 3, epochs: 2, horizon: epochs",
    "percentile": ", percentile: 50.0, n_startup_trials: 2",
    "successive_halving": "",
    "hyperband": "",
    "none": "",
}


@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_pruner_runs_a_study_to_its_exact_budget(search: Search, pruner: str) -> None:
    records = work(search, f"study.pruner={{kind: {pruner}{PRUNERS[pruner]}}}", "epochs=6", trials=14)
    pruned = [record for record in records if record.state == "pruned"]
    assert len(pruned) + sum(record.state == "complete" for record in records) == 14
    assert bool(pruned) == (pruner != "none")
    for record in pruned:
        assert record.reason is not None and record.reason.code == "pruned"
        assert record.reason.epoch == len(record.curve) < 6
        assert pruner in record.reason.text
    assert max(records, key=lambda record: record.value or 0).state == "complete"
    snapshot = search.snapshot()
    assert snapshot is not None
    assert snapshot.epochs_saved == sum(6 - record.epochs for record in pruned)


# -- files -----------------------------------------------------------------------------------------


def test_checkpoints_of_trials_that_cannot_win_are_removed(search: Search) -> None:
    records = work(search, trials=9)
    ranked = sorted(records, key=lambda record: -(record.value or 0))
    kept = {record.number for record in ranked[:KEPT]} | {0}
    there = {int(path.parent.name.removeprefix("trial-")) for path in search.runs.glob("trial-*/last.pt")}
    assert there == kept
    assert len(list(search.runs.glob("trial-*/log.txt"))) == 9


def test_an_owner_begins_with_what_was_published(search: Search) -> None:
    """A folder that a dead owner left is neither continued nor in the way."""
    folder = search.runs / "trial-0000"
    stale = folder / ".work-deadbeef"
    stale.mkdir(parents=True)
    (stale / "last.pt").write_text('{"epoch": 3}')
    (record,) = work(search)
    assert len(record.curve) == 4
    assert search.trained().keys() == {(0, epoch) for epoch in (1, 2, 3, 4)}
    assert not list(folder.glob(".*"))


def test_leases_are_renewed_between_epochs(search: Search) -> None:
    """An epoch that lasts longer than a lease costs nobody the trial."""
    study = search.create("seconds=1.0", "epochs=1", trials=1)
    mine = make(search, study)
    thread = threading.Thread(target=lambda: mine.run(Interrupt()))
    thread.start()
    search.wait(lambda: read_records(study))
    other: Leases = make(search, study).leases
    other.join("elsewhere")
    answers = set()
    while thread.is_alive():
        answers.add(str(other.claim()))
        time.sleep(0.05)
    assert answers <= {"wait", "spent"}
    (record,) = read_records(study)
    assert (record.state, record.attempts) == ("complete", 1)


def test_what_a_run_is_told(search: Search) -> None:
    seen: list[Run] = []

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        seen.append(run)
        yield EpochResult(epoch=1, epochs=1, score=0.5)

    work(search, trials=2, objective=toy_with(train))
    assert [run.dir.name for run in seen] == ["trial-0000", "trial-0001"]
    assert {(run.device, run.seed, run.smooth) for run in seen} == {("cpu", 7, 2)}


# -- what is the machine's fault -------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "last.pt.tmp"),
        OSError(errno.EROFS, "Read-only file system"),
        OSError(errno.EIO, "Input/output error"),
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos; file write failed"),
    ],
    ids=["full", "read-only", "broken", "PyTorch on a full disk"],
)
def test_a_disk_that_fails_ends_the_worker_and_costs_the_study_nothing(
    search: Search, error: Exception
) -> None:
    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        yield EpochResult(epoch=1, epochs=4, score=0.1)
        raise error

    study = search.create(trials=1)
    for _ in range(outcome.MAX_DEATHS + 1):
        with pytest.raises(MachineError, match=r"--runs: .*make room.*the trial was given back"):
            make(search, study, toy_with(train)).run(Interrupt())
    (record,) = read_records(study)
    assert (record.state, record.worker) == ("running", None)
    assert make(search, study).run(Interrupt()) == 0
    (record,) = read_records(study)
    assert record.state == "complete" and len(record.curve) == 4


def test_a_folder_of_another_user_ends_the_worker_and_costs_the_study_nothing(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = search.create(trials=1)

    def denied(workspace: Workspace, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(workspace.work))

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "open", denied)
        with pytest.raises(MachineError, match=r"--runs: .*Permission denied.*let this user write there"):
            make(search, study).run(Interrupt())
    (record,) = read_records(study)
    assert (record.state, record.worker) == ("running", None)


def test_a_file_system_without_hard_links_is_copied_on(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    (record,) = work(search)
    assert record.state == "complete" and len(record.curve) == 4
    assert (search.runs / "trial-0000" / "last.pt").is_file()


def test_an_objective_may_change_the_working_folder(
    search: Search, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        os.chdir(search.folder.parent)
        yield from trained(config, run)

    trained = toy.train
    here = ("--storage", "sqlite:///here.db", "--artifacts", "shared")
    command("start", "--workers", "0", "--trials", "2", *here)
    monkeypatch.setattr("toy.train", train)
    command("worker", *here)
    assert sorted(path.name for path in search.runs.glob("trial-*")) == ["trial-0000", "trial-0001"]
    assert not {"here.db", "runs", "shared"} & {path.name for path in search.folder.parent.iterdir()}


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit(3), KeyboardInterrupt()])
def test_an_objective_that_exits_fails_its_trial_only(search: Search, error: BaseException) -> None:
    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        yield EpochResult(epoch=1, epochs=2, score=0.1)
        raise error

    (record,) = work(search, objective=toy_with(train))
    assert record.state == "failed" and record.reason is not None
    assert (record.reason.code, record.reason.epoch) == ("bug", 1)
    assert type(error).__name__ in record.reason.text


def test_an_objective_may_prune_its_own_trial(search: Search) -> None:
    """By Optuna's exception: no bug, however often, and the sampler learns from it."""
    reasons = [TrialPruned(), TrialPruned("out of\nreach"), TrialPruned(), TrialPruned("at once")]

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        reason = reasons.pop(0)
        if reasons:
            yield EpochResult(epoch=1, epochs=2, score=0.1)
        raise reason

    records = work(search, trials=4, objective=toy_with(train))
    assert [(record.state, record.last) for record in records] == [("pruned", 0.1)] * 3 + [("pruned", None)]
    found = [record.reason and (record.reason.code, record.reason.text) for record in records]
    assert found[0] == ("objective", "the objective raised TrialPruned")
    assert found[1] == ("objective", "the objective raised TrialPruned: out of")
    study = search.study()
    assert study is not None and study.row.stop is None


def test_an_objective_that_removes_its_folder(search: Search) -> None:
    removed = []

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        (run.dir / "last.pt").touch()
        yield EpochResult(epoch=1, epochs=2, score=0.1)
        if not removed:
            removed.append(shutil.rmtree(run.dir))
        yield EpochResult(epoch=2, epochs=2, score=0.2)
        shutil.rmtree(run.dir.parent)

    failed, complete = work(search, trials=2, objective=toy_with(train))
    assert failed.state == "failed" and failed.reason is not None
    assert failed.reason.text.startswith("objective: it removed run.dir") and "\n" not in failed.reason.text
    assert complete.state == "complete" and complete.last == 0.2
    assert (search.runs / "trial-0001" / "last.pt").exists()


def test_a_trial_that_is_deleted_by_hand_is_left_and_its_slot_trained_again(search: Search) -> None:
    engine = search.create(trials=2).engine
    begun = []

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        begun.append(config["x"])
        yield EpochResult(epoch=1, epochs=2, score=0.1)
        if len(begun) == 1:
            with engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM trials")
        yield EpochResult(epoch=2, epochs=2, score=0.2)

    records = work(search, trials=2, objective=toy_with(train))
    assert begun[:2] == [0.3, 0.3] and len(begun) == 3, "the known config again"
    assert [(record.known, record.state, record.epochs) for record in records] == [
        ("by hand", "complete", 2),
        (None, "complete", 2),
    ]
