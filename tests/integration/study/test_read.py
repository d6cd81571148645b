"""The study as it is read for status and live view."""

from lease_workers import claimed, keep_alive, worker
from service import Search

from search.study.read import read_snapshot
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
