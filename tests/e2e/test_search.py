"""Whole searches: real processes, real signals, a real database that goes away.

Whatever happens on the way, `Search.finished` holds of the end: the exact budget, every curve whole, each
trial in its own folder, nothing left over.
"""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from service import Answer, Search, runs
from toy_studies import pauses, right

from search.launcher.supervisor import MAX_CRASHES
from search.records import Record
from search.worker.outcome import MAX_DEATHS

Command = Callable[..., Answer]


def running(records: list[Record]) -> list[Record]:
    """The trials that are being trained and have reported an epoch."""
    return [record for record in records if record.state == "running" and record.epochs]


def attempts_after(killed: list[Record]) -> dict[int, int]:
    """The attempts that each trial has once the trials of killed workers are taken over."""
    return {record.number: record.attempts + (record.state == "running") for record in killed}


def at_most_one_again(search: Search, kills: int) -> None:
    """A killed worker costs the epoch it was in, and no other."""
    assert sum(times - 1 for times in search.trained().values()) <= kills


# -- the plain case --------------------------------------------------------------------------------


def test_a_search_uses_its_budget_and_ends(search: Search, command: Command) -> None:
    first = search.run("start", "--trials", "3")
    assert "toy  3 of 3 trials: 3 complete, 0 pruned, 0 failed" in first.out
    assert "search report --study toy" in first.out and "runs/toy/trial-0000" in first.out
    assert "trial 0 complete after 4 epochs" in first.err
    records = search.finished(3)
    assert all(right(record) for record in records)
    assert set(search.trained().values()) == {1}
    again = command("start")
    assert again.out == first.out, "the budget is used up: nothing but the result"
    command("start", "--trials", "4", "--workers", "1")
    assert search.finished(4)[:3] == records


# -- kill -9 ---------------------------------------------------------------------------------------


def test_a_killed_worker_costs_the_epoch_it_was_in(search: Search) -> None:
    process = search.spawn("start", "--workers", "1", "--trials", "2", *pauses(0.3, 5))
    search.wait_for_epoch(0, 2)
    (worker,) = search.pids()
    time.sleep(0.15)
    os.kill(worker, signal.SIGKILL)
    search.ends(process)
    first, second = search.finished(2, epochs=5)
    assert (first.attempts, second.attempts) == (2, 1)
    assert right(first) and right(second)
    at_most_one_again(search, kills=1)
    assert set(search.trained().values()) <= {1, 2}


def test_a_killed_supervisor_leaves_no_worker_behind(search: Search, command: Command) -> None:
    process = search.spawn("start", "--workers", "2", "--trials", "4", *pauses(0.4, 5))
    search.wait(lambda: len(running(search.records())) == 2)
    workers = search.pids()
    assert len(workers) == 2
    process.kill()
    search.wait(lambda: not any(runs(pid) for pid in workers))
    before = search.records()
    interrupted = [record for record in before if record.state == "running"]
    assert interrupted and {record.worker for record in interrupted} == {None}, "not given back"
    command("worker")
    after = search.finished(4, epochs=5)
    expected = attempts_after(before)
    assert [record.attempts for record in after] == [expected.get(number, 1) for number in range(4)]
    for record in interrupted:
        assert after[record.number].params == record.params
    assert set(search.trained().values()) == {1}


def test_after_a_power_cut_the_same_command_goes_on(search: Search, command: Command) -> None:
    """The supervisor and all its workers die at once, and nobody gives anything back."""
    process = search.spawn("start", "--workers", "2", "--trials", "3", *pauses(0.3, 5))
    search.wait(lambda: len(running(search.records())) == 2)
    for pid in [process.pid, *search.pids()]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    before = search.records()
    command("start", "--workers", "1")
    after = search.finished(3, epochs=5)
    expected = attempts_after(before)
    assert 2 in expected.values(), "no trial was running"
    assert [record.attempts for record in after] == [expected.get(number, 1) for number in range(3)]
    assert all(right(record) for record in after)
    at_most_one_again(search, kills=2)


def test_a_worker_may_crash_more_often_than_a_trial_may_kill_its_worker() -> None:
    """Otherwise one deadly trial would end the search before the trial is given up."""
    assert MAX_CRASHES > MAX_DEATHS


@pytest.mark.nightly
def test_a_trial_that_kills_its_workers_does_not_take_the_search_with_it(search: Search) -> None:
    document = (search.folder / "space.yaml").read_text()
    document = document.replace("trouble: null", "trouble: {choices: [none, death]}")
    document = document.replace("kind: plain}", "kind: plain, trouble: death}")
    document += "avoid: []\n"
    known = "  - {name: harmless, x: 0.4, kind: plain, trouble: none}\n"
    (search.folder / "space.yaml").write_text(document.replace("profiles:", f"{known}profiles:"))
    script = search.folder / "start.py"
    script.write_text(
        "from search.cli.app import main\n"
        "from search.launcher import supervisor\n"
        "supervisor.BACKOFF_SECONDS = (0.05, 0.05)\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), "start", "--trials", "2"],
        cwd=search.folder,
        env=search.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    deadly, harmless = search.records()
    assert (deadly.state, deadly.attempts) == ("failed", 6)
    assert deadly.reason is not None and "5 workers died in it in a row" in deadly.reason.text
    assert (harmless.state, harmless.attempts) == ("complete", 1)


# -- signals ---------------------------------------------------------------------------------------


def test_ctrl_c_gives_the_trial_back(search: Search, command: Command) -> None:
    process = search.spawn("start", "--workers", "1", "--trials", "2", *pauses(0.3, 5))
    search.wait_for_epoch(0, 2)
    process.send_signal(signal.SIGINT)
    search.ends(process, 130)
    (record,) = search.records()
    assert (record.state, record.worker) == ("running", None), "it trained on to the end"
    assert search.pids() == []
    command("worker")
    first, second = search.finished(2, epochs=5)
    assert (first.attempts, second.attempts) == (2, 1)
    assert first.curve[: len(record.curve)] == record.curve
    assert set(search.trained().values()) == {1}, "an epoch was trained again"


def test_a_signal_while_the_study_is_created_loses_nothing(search: Search, command: Command) -> None:
    search.prepared_file = None
    process = search.spawn("start", "--trials", "1")
    search.wait(lambda: runs(process.pid) and (search.folder.parent / "study.db").exists())
    process.send_signal(signal.SIGINT)
    search.ends(process, 130)
    command("start", "--trials", "1", "--workers", "0")
    command("worker")
    search.finished(1)


STUBBORN = """
import time
from search.objective import EpochResult

def train(config, run):
    time.sleep(300)
    yield EpochResult(epoch=1, epochs=1, score=config["x"])
"""


def test_a_second_signal_ends_it_at_once(search: Search) -> None:
    (search.folder / "stubborn.py").write_text(STUBBORN)
    document = (search.folder / "space.yaml").read_text()
    (search.folder / "space.yaml").write_text(document.replace("objective: toy", "objective: stubborn"))
    process = search.spawn("start", "--workers", "1")
    search.wait(lambda: [record for record in search.records() if record.params])
    (worker,) = search.pids()
    process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    assert process.poll() is None, "it left without its worker"
    assert runs(worker), "it left without having ended its batch"
    process.send_signal(signal.SIGINT)
    search.ends(process, 130)
    os.kill(worker, signal.SIGTERM)  # it has heard the first; its own second
    search.wait(lambda: not runs(worker))


# -- several at once -------------------------------------------------------------------------------


@pytest.fixture
def search_on_empty(tmp_path: Path, empty_url: str) -> Iterator[Search]:
    """A search on a database of each kind without tables."""
    found = Search(tmp_path / "work", empty_url)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("workers", "trials"), [(1, 8), pytest.param(4, 24, marks=pytest.mark.nightly)], ids=["two", "eight"]
)
def test_two_starts_on_an_empty_database_share_the_work(
    search_on_empty: Search, workers: int, trials: int
) -> None:
    search = search_on_empty
    start = ["start", "--workers", str(workers), "--trials", str(trials), *pauses(0.2, 4)]
    processes = [search.spawn(*start), search.spawn(*start)]
    owners = set()
    states: list[Counter[str]] = []
    while any(process.poll() is None for process in processes):
        if (snapshot := search.snapshot()) is not None:
            budget = snapshot.to_json()["budget"]
            assert budget["trials"] == trials
            finished = budget["complete"] + budget["pruned"] + budget["failed"]
            assert budget["claimed"] == finished + budget["running"] <= trials
            assert budget["running"] <= 2 * workers
            states.append(Counter(budget))
            owners |= {worker.id for worker in snapshot.workers}
        time.sleep(0.25)
    for process in processes:
        search.ends(process)
    assert len(states) > 5 and any(state["running"] > 1 for state in states), "nothing was seen of it"
    claimed = [state["claimed"] for state in states]
    assert claimed == sorted(claimed)
    assert len(owners) > workers
    records = search.finished(trials)
    assert set(search.trained().values()) == {1}, "an epoch was trained twice"
    drawn = [record.params for record in records[:10]]
    assert all(a["x"] != b["x"] for n, a in enumerate(drawn) for b in drawn[:n]), "two drew alike"
    assert records[0].known == "by hand"
    snapshot = search.snapshot()
    assert snapshot is not None and snapshot.to_json()["budget"] == budget | {
        "claimed": trials,
        "complete": trials,
        "running": 0,
    }


def test_a_stopped_process_publishes_nothing_when_it_wakes(search: Search) -> None:
    """SIGSTOP for longer than the lease: somebody else ends the trial, and its result stands."""
    search.environment["SEARCH_LEASE_SECONDS"] = "1"
    search.create("seconds=0.2", "epochs=6", trials=1)
    sleeper = search.spawn("worker")
    search.wait_for_epoch(0, 2)
    search.wait(lambda: stopped_between_transactions(search, sleeper))
    search.run("worker")
    before = search.finished(1, epochs=6)
    assert before[0].attempts == 2 and right(before[0])
    checkpoint = search.runs / "trial-0000" / "last.pt"
    stamp = (checkpoint.stat().st_ino, checkpoint.stat().st_mtime_ns)
    sleeper.send_signal(signal.SIGCONT)
    search.ends(sleeper)
    assert search.finished(1, epochs=6) == before
    assert (checkpoint.stat().st_ino, checkpoint.stat().st_mtime_ns) == stamp


def stopped_between_transactions(search: Search, process: subprocess.Popen[bytes]) -> bool:
    """Stops a process; lets it go again where it holds SQLite's only write lock, as nobody could go on."""
    process.send_signal(signal.SIGSTOP)
    try:
        with sqlite3.connect(search.folder.parent / "study.db", timeout=0.5) as connection:
            connection.execute("BEGIN IMMEDIATE")
        return True
    except sqlite3.OperationalError:
        process.send_signal(signal.SIGCONT)
        return False
    finally:
        connection.close()


# -- stop ------------------------------------------------------------------------------------------


def test_stop_lets_running_trials_end(search: Search, command: Command) -> None:
    process = search.spawn("start", "--workers", "2", "--trials", "99", *pauses(0.2, 4))
    search.wait(lambda: len([record for record in search.records() if record.epochs]) >= 2)
    command("stop")
    search.ends(process)
    records = search.records()
    assert 2 <= len(records) < 99 and {record.state for record in records} == {"complete"}


def test_stop_now_reaches_every_worker_through_the_database(search: Search, command: Command) -> None:
    search.environment["SEARCH_LEASE_SECONDS"] = "6"  # a worker asks the database every second
    process = search.spawn("start", "--workers", "1", "--trials", "4", *pauses(0.5, 600))
    search.wait_for_epoch(0, 1)
    elsewhere = search.spawn("worker", "--runs", "elsewhere")
    search.wait_for_epoch(1, 1)
    command("stop", "--now", "--runs", "from here")
    search.ends(process, 1)  # no trial completed
    search.ends(elsewhere)
    assert {(record.state, record.worker) for record in search.records()} == {("running", None)}


# -- bugs ------------------------------------------------------------------------------------------


def test_three_bugs_end_the_search_in_one_line(search: Search) -> None:
    answer = search.run("start", "--workers", "1", "--trials", "9", "--set", "trouble=bug", code=1)
    last = answer.err.splitlines()[-1]
    assert "three trials failed in a row" in last and "ZeroDivisionError: the objective has a bug" in last
    assert "search trials --study toy" in last and "Traceback" not in answer.err
    trial = search.records()[1]
    assert trial.state == "failed" and trial.reason is not None and trial.reason.code == "bug"
    assert trial.reason.text.startswith("Traceback (most recent call last)")
    assert 'toy.py", line' in trial.reason.text
    assert "ZeroDivisionError" in (search.runs / "trial-0001" / "log.txt").read_text()
    assert len(search.records()) == 3


# -- the documents ---------------------------------------------------------------------------------


def test_the_objective_of_the_docs_runs_as_it_stands_there(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text()
    for name in ("parabola.py", "parabola.yaml"):
        found = re.search(rf"```\w+\n# {re.escape(name)}\n(.*?)```", text, re.DOTALL)
        assert found, name
        (search.folder / name).write_text(found.group(1))
    search.environment["PYTHONPATH"] = ""
    monkeypatch.setenv("SEARCH_STUDY", "parabola")
    search.environment["SEARCH_STUDY"] = "parabola"
    search.run("start", "--space", "parabola.yaml", "--trials", "12", "--workers", "1")
    trials = command("trials", "--json").json
    assert len(trials) == 12
    assert {trial["state"] for trial in trials} <= {"complete", "pruned"}
    best = command("best", "--json").json
    assert best["epochs"] == 20 and best["value"] > 0.9
