"""Searches that end because of what they found: which trials count, and that no slot is claimed after."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lease_workers import claimed, new_study, pass_time, worker
from races import at_once
from service import STUDY, Answer, Search
from sqlalchemy import Engine, func, select

from search.records import StoppedBy
from search.report.collect import collect_report_data
from search.report.sections.in_short import in_short
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.open import open_study
from search.study.read import read_records, read_snapshot
from search.worker.worker import Worker
from storage import engine as engines
from storage import reads, stop_rules, studies
from storage.claims import Lease
from storage.leases import Leases
from storage.tables import leases

Command = Callable[..., Answer]


def ruled(url: str, trials: int = 100, **rule: float) -> tuple[Engine, int]:
    return new_study(url, trials, document={"study": {"stop": rule}})


def end(owner: Leases, lease: Lease, state: Any, value: float | None, **attributes: Any) -> None:
    assert owner.report(lease, 1, 1, 0.5) and owner.finish(lease, state, value, attributes)


def stopped(study: tuple[Engine, int]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = studies.attribute(*study, stop_rules.STOPPED)
    return found


def work_off(url: str, study_id: int, name: str) -> int:
    """Claims and finishes trials, each better than those of lower numbers, until there is none left."""
    mine = worker(engines.connect(url), study_id, name)
    count = 0
    while isinstance(lease := mine.claim(), Lease) or lease == "wait":
        if isinstance(lease, Lease):
            end(mine, lease, "COMPLETE", lease.number / 100)
            count += 1
        else:
            time.sleep(0.01)  # one that waits would take the others' time
    assert lease == "spent"
    return count


def test_of_many_workers_none_claims_a_slot_once_the_rule_is_met(url: str) -> None:
    study = ruled(url, target=0.05)
    ended = sum(at_once(work_off, [(url, study[1], f"worker{index}") for index in range(4)]))
    met = stopped(study)
    assert met is not None and met["rule"] == "target" and met["trial"] >= 5 and met["value"] >= 0.05
    with study[0].connect() as connection:
        slots = connection.scalar(select(func.count()).select_from(leases))
    assert slots == met["claimed"] == ended, "running trials ended, and none was begun"
    assert 6 <= slots <= 5 + 4 + 1, "when the target was reached, each other worker had one at most"


@pytest.mark.parametrize(
    ("direction", "trials", "met"),
    [
        pytest.param("maximize", [0.1, 0.5, 0.3, 0.5, 0.2], True, id="an equal value is not better"),
        pytest.param("maximize", [0.1, 0.5, 0.3, 0.6, 0.2, 0.1], False, id="a better one counts anew"),
        pytest.param("maximize", [0.5, None, None, None], True, id="pruned trials were not better"),
        pytest.param("maximize", [None, None, None, None], False, id="nothing is complete"),
        pytest.param("minimize", [0.1, 0.5, 0.4, 0.3], True, id="lower is better"),
        pytest.param("minimize", [0.5, 0.4, 0.3, 0.2], False, id="each is better"),
    ],
)
def test_after_so_many_trials_without_a_better_one(
    tmp_path: Path, prepared_file: Path, direction: str, trials: list[float | None], met: bool
) -> None:
    shutil.copy(prepared_file, tmp_path / "study.db")
    study = ruled(f"sqlite:///{tmp_path / 'study.db'}", after=3)
    if direction == "minimize":
        with study[0].begin() as connection:
            connection.exec_driver_sql("UPDATE study_directions SET direction = 'MINIMIZE'")
    owner = worker(*study, "a")
    for value in trials:
        end(
            owner,
            claimed(owner),
            "PRUNED" if value is None else "COMPLETE",
            0.9 if value is None else value,
        )
    assert owner.claim() == "spent" if met else isinstance(owner.claim(), Lease)


def test_failed_trials_and_repeats_say_nothing_about_the_search(url: str) -> None:
    study = ruled(url, after=2, target=0.8)
    owner = worker(*study, "a")
    end(owner, claimed(owner), "COMPLETE", 0.5)
    end(owner, claimed(owner), "FAIL", None)
    end(owner, claimed(owner), "COMPLETE", 0.9, repeat_of=0)
    end(owner, claimed(owner), "COMPLETE", 0.4)
    last = claimed(owner)
    end(owner, last, "PRUNED", 0.3)
    assert owner.claim() == "spent"
    assert stopped(study) == {"rule": "after", "limit": 2, "trial": 0, "value": 0.5, "claimed": 5}


def test_after_the_rule_is_met_a_dead_workers_trial_is_taken_over_and_may_be_the_best(url: str) -> None:
    study = ruled(url, after=2)
    a, b, dead = (worker(*study, name) for name in ("a", "b", "dead"))
    end(a, claimed(a), "COMPLETE", 0.5)
    orphan = claimed(dead)
    for _ in range(2):
        end(a, claimed(a), "COMPLETE", 0.4)
    assert a.claim() == "wait"
    pass_time(study[0], 40.0)
    assert b.claim() == "wait"
    for _ in range(5):  # others give signs of life; the dead worker does not
        pass_time(study[0], 20.0)
        b.claim()
    taken = a.claim()
    taken = taken if isinstance(taken, Lease) else claimed(b)
    assert taken.number == orphan.number
    owner = a if a.renew(taken) else b
    end(owner, taken, "COMPLETE", 0.9)
    assert a.claim() == b.claim() == "spent", "what ended it stays, whatever the last trials come to"


def test_a_search_has_not_ended_while_a_trial_runs_that_a_slow_reader_has_missed(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next stage of a search would choose from a part of its trials."""
    study = search.create("study.stop={target: 0.9}", trials=9)
    a, b = (worker(study.engine, study.id, name) for name in "ab")
    end(a, claimed(a), "COMPLETE", 0.5)
    really = reads.trial_rows

    def slowly(*arguments: Any) -> list[reads.TrialRow]:
        rows = really(*arguments)
        claimed(b)
        end(a, claimed(a), "COMPLETE", 0.95)
        assert a.claim() == "wait", "the rule is met"
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(reads, "trial_rows", slowly)
        assert not read_snapshot(study).budget.used_up


def test_a_search_says_what_ended_it_and_goes_on_by_another_rule(search: Search, command: Command) -> None:
    """The known config, the first trial, reaches 0.75 at its fourth epoch; its mean of two is 0.7."""
    study = search.create("study.stop={target: 0.65}", trials=9)
    Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt())
    snapshot = read_snapshot(study)
    by = snapshot.budget.stopped
    assert by is not None and snapshot.budget.used_up and snapshot.budget.finished == by.claimed == 1
    assert by == StoppedBy("target", 0.65, 0, read_records(study)[0].value or 0.0, 1)
    said = "stopped by its rule: trial 0 has 0.6982, and 0.65 was the target"
    assert said in " ".join(command("status").out.split()) and "8 not run" in command("status").out
    assert command("status", "--json").json["budget"]["stopped"]["trial"] == 0
    bullets = in_short(collect_report_data(study, search.folder / "runs"))[1]
    assert "luckier than the best of that many trials" in str(bullets) and "8 trials were not run" in str(
        bullets
    )
    again = command("start", "--workers", "1")
    assert said in " ".join((again.out + again.err).split()), "nothing is left to do"
    changed = ("start", "--update", "--workers", "0", "--set", "study.stop={target: 0.99}")
    command(*changed, "--trials", "2")
    study = open_study(search.url, STUDY)
    assert read_snapshot(study).budget.stopped is None and not read_snapshot(study).budget.used_up
    Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt())
    assert read_snapshot(study).budget.finished == 2
