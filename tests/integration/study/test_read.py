"""The study as it is read for status and live view."""

from lease_workers import claimed, keep_alive, worker
from service import Search

from search.study.read import read_records, read_snapshot
from storage.leases import Status


def test_a_dead_worker_is_silent_and_its_trial_is_its_successors(search: Search) -> None:
    study = search.create(trials=1)
    dead, successor = (worker(study.engine, study.id, name) for name in ("dead", "successor"))
    lease = claimed(dead)
    dead.beat(Status(state="training", number=0, epoch=1, score=0.5), lease)
    keep_alive(successor, 40.0)
    successor.beat(Status(state="waiting"), None)
    assert {each.host: (each.state, each.trial) for each in read_snapshot(study).workers} == {
        "dead": ("silent", 0),
        "successor": ("waiting", None),
    }
    keep_alive(successor, 40.0)
    successor.beat(Status(state="training", number=0), claimed(successor))
    shown = {each.host: each for each in read_snapshot(study).workers}
    assert (shown["dead"].state, shown["dead"].trial, shown["dead"].score) == ("silent", None, None)
    assert (shown["successor"].state, shown["successor"].trial) == ("training", 0)


def test_attributes_of_others_are_not_taken_for_ours(search: Search) -> None:
    study = search.create(trials=1)
    owner = worker(study.engine, study.id, "owner")
    lease = claimed(owner)
    theirs = {
        "reason": "tired",
        "control": 5,
        "best_epoch": "last",
        "mean": "high",
        "parameters": [1],
        "seed": "a",
    }
    owner.add_attributes(lease, theirs)
    (record,) = read_records(study)
    assert (record.reason, record.control, record.best_epoch, record.value) == (None, None, None, None)
    assert record.seed == 7
