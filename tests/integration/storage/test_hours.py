"""The budget in device-hours: what counts, who is stopped by it, what is kept of it."""

import json
import time
from collections.abc import Callable

import pytest
from lease_workers import claimed, new_study, worker
from service import STUDY, Answer, Search
from sqlalchemy import Engine, update

from search.records import Budget
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.open import open_study
from search.worker.worker import Worker
from storage import hours
from storage.clock import now
from storage.tables import leases

Command = Callable[..., Answer]
SECONDS = 3600.0


def begun(engine: Engine, trial_id: int, ago: float) -> None:
    """Makes it so that a trial was claimed `ago` seconds before now, and its owner heard ever since."""
    with engine.begin() as connection:
        connection.execute(
            update(leases)
            .where(leases.c.trial_id == trial_id)
            .values(started_at=now() - ago, renewed_at=now())
        )


def used(study: tuple[Engine, int]) -> float:
    with study[0].connect() as connection:
        return hours.used(connection, study[1]) * SECONDS


def test_no_trial_is_claimed_once_the_hours_are_used(url: str) -> None:
    study = new_study(url, trials=10)
    a, b = worker(*study, "a", 60), worker(*study, "b", 60)
    hours.set_limit(*study, 1.0)
    first = claimed(a)
    begun(study[0], first.trial_id, 0.6 * SECONDS)
    second = claimed(b)
    begun(study[0], second.trial_id, 0.3 * SECONDS)
    third = claimed(worker(*study, "c", 60))
    begun(study[0], third.trial_id, 0.101 * SECONDS)
    d = worker(*study, "d", 60)
    assert d.claim() == "wait", "running trials have used it, and may have to be taken over"
    assert used(study) == pytest.approx(1.001 * SECONDS, abs=2)
    b.release(second)
    taken = claimed(d)
    assert taken.number == second.number, "a take-over claims nothing"
    for owner, lease in ((a, first), (d, taken)):
        assert owner.report(lease, 1, 1, 0.5) and owner.finish(lease, "COMPLETE", 0.5, {})
    assert a.claim() == "wait"
    hours.set_limit(*study, 1.5)
    assert claimed(a).number == 3, "the limit was raised"


def test_time_in_which_nobody_held_a_trial_is_not_used(url: str) -> None:
    """Given back for the night, or its owner died and was missed late."""
    study = new_study(url, trials=2)
    a, b = worker(*study, "a", 60), worker(*study, "b", 60)
    lease = claimed(a)
    a.release(lease)
    with study[0].begin() as connection:  # an hour of work, which ended ten hours ago
        connection.execute(
            update(leases).values(started_at=now() - 11 * SECONDS, renewed_at=now() - 10 * SECONDS)
        )
    assert used(study) == pytest.approx(SECONDS, abs=2)
    lease = claimed(b)
    assert used(study) == pytest.approx(SECONDS, abs=2)
    assert b.report(lease, 1, 1, 0.5) and b.finish(lease, "COMPLETE", 0.5, {})
    time.sleep(0.1)
    assert used(study) == pytest.approx(SECONDS, abs=2)


def test_many_who_claim_at_once_stop_at_the_limit(url: str) -> None:
    study = new_study(url, trials=10)
    hours.set_limit(*study, 1.0)
    begun(study[0], claimed(worker(*study, "first", 60)).trial_id, 2 * SECONDS)
    assert {str(worker(*study, name, 60).claim()) for name in "abcd"} == {"wait"}


def test_the_limit_is_never_set_below_what_is_used(url: str) -> None:
    study = new_study(url, trials=2)
    begun(study[0], claimed(worker(*study, "a", 60)).trial_id, 2 * SECONDS)
    assert hours.set_limit(*study, 0.5) == pytest.approx(2.0, abs=0.01)
    assert hours.set_limit(*study, 5.0) == 5.0
    assert hours.set_limit(*study, 3.0) == 3.0
    assert hours.read(*study) == (3.0, pytest.approx(2.0, abs=0.01))
    assert hours.read(*new_study(url, trials=1, name="other")) is None


# -- the commands ----------------------------------------------------------------------------------


def test_a_search_ends_when_its_hours_are_used(search: Search, command: Command) -> None:
    """Two workers, trials of half a second, and two seconds: exit code 0, nothing left running."""
    pace = ("--set", "seconds=0.12", "--set", "epochs=4")
    limit = 2 / SECONDS
    search.run("start", "--workers", "2", "--trials", "90", "--gpu-hours", f"{limit:.6f}", *pace)
    budget = command("status", "--json").json["budget"]
    assert budget["gpu_hours"] == pytest.approx(limit, abs=1e-5) and budget["running"] == 0
    assert limit <= budget["gpu_hours_used"] < limit + 5 / SECONDS
    assert 2 <= budget["complete"] == budget["claimed"] < 30 and budget["trials"] == 90
    seconds = sum(record.seconds or 0 for record in search.records())
    assert seconds / SECONDS == pytest.approx(budget["gpu_hours_used"], rel=1e-3)
    assert "device-hours" in command("status").out
    assert "device-hours" in command("start", "--workers", "1").out, "there is nothing left to do"
    command("start", "--workers", "0", "--gpu-hours", f"{budget['gpu_hours_used'] + 0.2 / SECONDS:.8f}")
    study = open_study(search.url, STUDY)
    assert Worker(study, search.runs.parent, None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    assert len(search.records()) == budget["claimed"] + 1


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "many"])
def test_wrong_device_hours_are_refused(search: Search, command: Command, value: str) -> None:
    answer = command("start", "--gpu-hours", value, code=2)
    assert answer.err.count("\n") == 1 and "--gpu-hours" in answer.err and answer.out == ""
    assert not search.study()


def test_a_budget_in_json_has_hours_only_where_there_is_a_limit(search: Search, command: Command) -> None:
    search.create()
    budget = command("status", "--json").json["budget"]
    assert (budget["gpu_hours"], budget["gpu_hours_used"]) == (None, None)
    assert json.loads(json.dumps(budget)) == budget
    limited = Budget(10, 3, 3, 0, 0, 0, gpu_hours=1.0, gpu_hours_used=1.2)
    assert limited.used_up and limited.gpu_hours_left == 0
    assert not Budget(10, 3, 2, 0, 0, 1, gpu_hours=1.0, gpu_hours_used=1.2).used_up
