"""Claims, reports and results: exact budgets, nobody's trial lost, nobody's trial trained twice."""

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from lease_workers import SECONDS, claimed, keep_alive, new_study, pass_time, worker
from races import at_once
from sqlalchemy import Engine

from storage import engine as engines
from storage import reads, schema, studies, tables
from storage.claims import Lease
from storage.errors import StorageError
from storage.leases import Leases, Status
from storage.pages import Page
from storage.processes import Process
from storage.url import redacted


@pytest.fixture
def study(url: str) -> tuple[Engine, int]:
    return new_study(url, trials=3)


def test_slots_and_trials_are_one_and_the_budget_is_exact(study: tuple[Engine, int]) -> None:
    a, b, c = (worker(*study, name) for name in "abc")
    first, second, third = claimed(a), claimed(b), claimed(c)
    assert [first.slot, second.slot, third.slot] == [0, 1, 2]
    assert [first.number, second.number, third.number] == [0, 1, 2]
    late = worker(*study, "late")
    assert late.claim() == "wait"
    for lease, owner in ((first, a), (second, b), (third, c)):
        assert owner.report(lease, 1, 5, 0.5)
        assert owner.finish(lease, "COMPLETE", 0.5, {"best_epoch": 1})
    assert late.claim() == "spent"


def test_optuna_reads_what_we_write(url: str) -> None:
    engine, study_id = new_study(url, trials=2)
    a = worker(engine, study_id, "a")
    lease = claimed(a)
    assert a.report(lease, 1, 2, 0.25)
    assert a.report(lease, 2, 2, 0.5)
    assert a.finish(lease, "PRUNED", 0.5, {"reason": "too low"})
    second = claimed(a)
    loaded = optuna.load_study(study_name="toy", storage=engines.optuna_storage(url))
    done, running = loaded.trials
    assert done.state == optuna.trial.TrialState.PRUNED
    assert done.intermediate_values == {1: 0.25, 2: 0.5}
    assert done.value == 0.5
    assert done.user_attrs == {"reason": "too low"}
    assert running.state == optuna.trial.TrialState.RUNNING
    assert done.duration is not None and 0 <= done.duration.total_seconds() < 60
    asked = loaded.ask()  # Optuna's own numbering goes on after ours
    assert asked.number == 2
    loaded.tell(second.number, 0.9)  # as the dashboard can; what its owner finds counts
    assert a.report(second, 1, 1, 0.75) and a.finish(second, "COMPLETE", 0.75, {})
    told = optuna.load_study(study_name="toy", storage=engines.optuna_storage(url)).trials[1]
    assert (told.state, told.value) == (optuna.trial.TrialState.COMPLETE, 0.75)


def test_a_silent_owner_is_replaced_and_can_publish_nothing(study: tuple[Engine, int]) -> None:
    a, b = worker(*study, "a"), worker(*study, "b")
    lease = claimed(a)
    assert a.report(lease, 1, 5, 0.1)
    keep_alive(b, SECONDS * 1.5)
    taken = claimed(b)
    assert (taken.number, taken.attempt, taken.epochs, taken.deaths) == (lease.number, 2, 1, 1)
    assert not a.report(lease, 2, 5, 0.9)
    assert not a.finish(lease, "COMPLETE", 0.9, {})
    assert not a.beat(Status(state="training"), lease).held
    a.release(lease)  # nor can it give away what is no longer its own
    assert b.report(taken, 2, 5, 0.2)
    assert b.finish(taken, "COMPLETE", 0.2, {})
    rows = reads.trial_rows(*study)
    assert rows[0].value == 0.2
    assert reads.curves(study[0], [rows[0].trial_id])[rows[0].trial_id] == {1: 0.1, 2: 0.2}


def test_a_slot_whose_trial_was_deleted_by_hand_is_free_again(study: tuple[Engine, int]) -> None:
    engine, study_id = study
    a, b, c = (worker(*study, name) for name in "abc")
    first, second, third = claimed(a), claimed(b), claimed(c)
    for lease, owner in ((first, a), (second, b), (third, c)):
        assert owner.report(lease, 1, 5, 0.5)
    assert a.finish(first, "COMPLETE", 0.5, {"best_epoch": 1})
    with engine.begin() as connection:
        for table in ("trial_intermediate_values", "trial_values", "trial_user_attributes", "trials"):
            gone = f"DELETE FROM {table} WHERE trial_id IN ({first.trial_id}, {second.trial_id})"
            connection.execute(sqlalchemy.text(gone))
    assert not b.report(second, 2, 5, 0.6)
    assert not b.beat(Status(state="training"), second).held
    assert not b.finish(second, "COMPLETE", 0.6, {})
    b.release(second)
    again, last = claimed(a), claimed(b)
    assert [(each.slot, each.number, each.attempt) for each in (again, last)] == [(0, 3, 1), (1, 4, 1)]
    assert worker(*study, "late").claim() == "wait"
    assert [row.number for row in reads.trial_rows(engine, study_id)] == [2, 3, 4]
    points = reads.curves(engine, [again.trial_id, last.trial_id])
    assert points == {again.trial_id: {}, last.trial_id: {}}


def test_an_owner_that_beats_keeps_its_trial(study: tuple[Engine, int]) -> None:
    a, b = worker(*study, "a"), worker(*study, "b")
    lease = claimed(a)
    assert keep_alive(a, SECONDS * 2, lease)
    assert claimed(b).slot == 1


def test_after_an_outage_every_owner_may_renew_first(study: tuple[Engine, int]) -> None:
    a, b = worker(*study, "a"), worker(*study, "b")
    lease = claimed(a)
    pass_time(study[0], SECONDS * 1.5)  # nobody can be heard: the database is away
    assert claimed(b).slot == 1, "declared dead without having had the chance to renew"
    assert a.beat(Status(state="training"), lease).held


def test_a_clock_that_is_set_back_strands_no_trial(study: tuple[Engine, int]) -> None:
    a, b = worker(*study, "a"), worker(*study, "b")
    lease = claimed(a)
    pass_time(study[0], -3600)
    assert claimed(b).slot == 1, "the owner may live, and has the chance to renew"
    keep_alive(b, SECONDS * 1.5)
    taken = claimed(worker(*study, "c"))
    assert (taken.number, taken.attempt, taken.deaths) == (lease.number, 2, 1)


def test_a_process_that_another_user_hides_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on machines whose /proc is mounted with hidepid."""
    here = Process.current()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setattr("storage.processes._stat", lambda pid: None)
    assert not here.sees_gone(here.machine, child.pid, "12345")
    assert not here.sees_gone(here.machine, 1, "12345"), "where a signal is not permitted either"
    child.kill()
    child.communicate()
    assert here.sees_gone(here.machine, child.pid, "12345")


def test_what_is_given_back_is_free_at_once(study: tuple[Engine, int]) -> None:
    a, b = worker(*study, "a"), worker(*study, "b")
    lease = claimed(a)
    assert a.report(lease, 3, 5, 0.3)
    a.release(lease)
    taken = claimed(b)
    assert (taken.number, taken.attempt, taken.deaths, taken.epochs) == (0, 2, 0, 3)


def test_a_dead_process_of_this_machine_is_replaced_at_once(study: tuple[Engine, int]) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    here = Process.current()
    start = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    theirs = Process(host=here.host, machine=here.machine, pid=child.pid, started=start)
    a = Leases(*study, "a", theirs, seconds=60)
    b = Leases(*study, "b", here, seconds=60)
    a.join("cpu")
    b.join("cpu")
    lease = claimed(a)
    living = claimed(b)
    assert living.slot == 1, "its process lives"
    assert b.finish(living, "COMPLETE", 0.1, {})
    child.kill()
    child.communicate()
    taken = claimed(b)
    assert (taken.number, taken.attempt, taken.deaths) == (lease.number, 2, 1)


def test_who_was_taken_for_dead_and_is_not_says_so(study: tuple[Engine, int]) -> None:
    """Or a trial would be given up as deadly because its owners were slow."""
    a, b = worker(*study, "a"), worker(*study, "b")
    lease = claimed(a)
    keep_alive(b, SECONDS * 1.5)
    taken = claimed(b)
    assert taken.deaths == 1
    a.release(lease)  # it has found out
    assert b.beat(Status(state="training"), taken).held
    b.release(taken)
    again = claimed(worker(*study, "c"))
    assert (again.number, again.attempt, again.deaths) == (lease.number, 3, 0)


def test_a_trial_ends_while_somebody_claims(postgres_url: str) -> None:
    """The claim may be about to take this very trial: were they to wait for each other, one would fail."""
    study = new_study(postgres_url, trials=2)
    a = worker(*study, "a")
    lease = claimed(a)
    ending = threading.Thread(target=a.finish, args=[lease, "COMPLETE", 0.5, {}, Page("how it went")])
    with engines.connect(postgres_url).begin() as claim:
        claim.execute(studies.lock(study[1]))
        ending.start()
        ending.join(timeout=20)
        assert not ending.is_alive()


def test_a_repeated_call_changes_nothing(study: tuple[Engine, int]) -> None:
    """What a worker does after an outage in which it never learnt whether its call went through."""
    a = worker(*study, "a")
    lease = claimed(a)
    assert claimed(a) == lease
    assert a.report(lease, 1, 2, 0.1) and a.report(lease, 1, 2, 0.1)
    assert a.finish(lease, "COMPLETE", 0.1, {"x": 1}) and a.finish(lease, "COMPLETE", 0.1, {"x": 1})
    rows = reads.trial_rows(*study)
    assert [(row.state, row.value, row.attributes) for row in rows] == [("COMPLETE", 0.1, {"x": 1})]
    assert claimed(a).slot == 1


def test_a_stopped_or_used_up_study_hands_out_nothing(study: tuple[Engine, int]) -> None:
    engine, study_id = study
    a = worker(*study, "a")
    lease = claimed(a)
    studies.set_stop(engine, study_id, "drain")
    assert a.beat(Status(state="training"), lease).stop == "drain"
    assert a.finish(lease, "FAIL", None, {})
    assert a.claim() == "stopped"
    studies.set_stop(engine, study_id, None)
    assert studies.set_budget(engine, study_id, 0) == 1, "never below what is claimed"
    assert a.claim() == "spent"
    assert studies.set_budget(engine, study_id, 2) == 2
    assert claimed(a).slot == 1


def test_bugs_in_a_row_are_counted_from_the_last_trial_that_ended_well(study: tuple[Engine, int]) -> None:
    a = worker(*study, "a")
    for state, expected in (("COMPLETE", 0), ("FAIL", 1), ("FAIL", 2)):
        assert a.finish(claimed(a), state, 0.1 if state == "COMPLETE" else None, {})
        assert studies.bugs_in_a_row(*study) == expected


def work_off(url: str, study_id: int, name: str) -> list[int]:
    """Claims and finishes trials until the budget is used up; the slots that it got."""
    mine = worker(engines.connect(url), study_id, name, seconds=60)
    done = []
    while isinstance(lease := mine.claim(), Lease) or lease == "wait":
        if lease == "wait":
            time.sleep(0.01)
            continue
        assert mine.report(lease, 1, 1, 0.5)
        assert mine.finish(lease, "COMPLETE", 0.5, {})
        done.append(lease.slot)
    return done


def test_eight_processes_use_the_budget_exactly(url: str) -> None:
    engine, study_id = new_study(url, trials=40)
    done = at_once(work_off, [(url, study_id, f"worker{index}") for index in range(8)])
    assert Counter(slot for slots in done for slot in slots) == Counter(range(40))
    assert len(reads.trial_rows(engine, study_id)) == 40


def create_study(url: str) -> None:
    schema.prepare(url)
    about = {"document": {}, "fingerprint": {}, "profile": None, "trials": 1}
    studies.create(engines.connect(url), "toy", "maximize", **about)


def test_eight_processes_start_together_on_an_empty_database(empty_url: str) -> None:
    assert at_once(create_study, [(empty_url,)] * 8) == [None] * 8


def test_rows_hold_parameters_as_they_were_given(url: str) -> None:
    engine, study_id = new_study(url, trials=1)
    a = worker(engine, study_id, "a")
    lease = claimed(a)
    storage = engines.optuna_storage(url)
    storage.get_all_trials(study_id)
    trial = optuna.trial.Trial(optuna.load_study(study_name="toy", storage=storage), lease.trial_id)
    given = {
        "kind": trial.suggest_categorical("kind", ["cosine", "constant", 3, True]),
        "epochs": trial.suggest_int("epochs", 1, 9),
        "lr": trial.suggest_float("lr", 1e-5, 1e-2, log=True),
    }
    (row,) = reads.trial_rows(engine, study_id)
    assert row.params == given
    assert isinstance(row.params["epochs"], int)


def test_the_feed_brings_each_point_of_the_study(study: tuple[Engine, int]) -> None:
    a = worker(*study, "a")
    feed = reads.CurveFeed(*study)
    lease = claimed(a)
    for epoch in range(1, 4):
        a.report(lease, epoch, 3, epoch / 10)
    assert {(point.epoch, point.score) for point in feed()} == {(1, 0.1), (2, 0.2), (3, 0.3)}
    other = claimed(a) if a.finish(lease, "COMPLETE", 0.3, {}) else lease
    a.report(other, 1, 3, 0.7)
    assert (other.number, 1, 0.7) in {(point.number, point.epoch, point.score) for point in feed()}


def test_our_description_of_optunas_tables_is_true(url: str) -> None:
    inspector = sqlalchemy.inspect(engines.connect(url))
    for table in tables.optuna_tables.tables.values():
        there = {column["name"]: column["type"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            assert column.name in there, f"{table.name}.{column.name}"
            wanted = getattr(column.type, "enums", None)
            if wanted and hasattr(there[column.name], "enums"):
                assert set(there[column.name].enums) == set(wanted)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://u@h/d", "'mysql' is not supported"),
        ("sqlite://", "in memory"),
        ("sqlite:////proc/nowhere/x.db", "No such file"),
        ("postgresql://u:hunter2@127.0.0.1:1/d?password=hunter3", "refused"),
    ],
)
def test_a_url_that_does_not_work_is_refused_in_one_line(given: str, text: str) -> None:
    with pytest.raises(StorageError) as caught:
        schema.prepare(given)
    message = str(caught.value)
    assert text in message and "\n" not in message
    assert "hunter" not in message


def test_no_password_is_shown() -> None:
    shown = redacted("postgresql://u:hunter2@h/d?sslpassword=hunter3&sslmode=require")
    assert "hunter" not in shown and "sslmode=require" in shown and "u:***@h" in shown


def test_a_file_that_is_no_database(tmp_path: Any) -> None:
    path = tmp_path / "x.db"
    path.write_text("this is not a database, and long enough to be looked at as one" * 20)
    with pytest.raises(StorageError, match="not a database"):
        schema.prepare(f"sqlite:///{path}")
