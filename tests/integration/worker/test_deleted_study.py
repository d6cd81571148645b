"""A study that is deleted while a worker does something: on each database it leaves, with one line."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from service import Search

from search.errors import StudyError
from search.retraining import confirm
from search.retraining import study as retraining
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.open import open_study
from search.study.study import Study
from search.worker import retry
from search.worker import worker as worker_module
from search.worker.worker import Worker
from storage import plans
from storage.engine import rdb_storage
from storage.leases import Leases
from storage.plans import Slot


def delete(search: Search, name: str) -> None:
    """Deletes a study by Optuna's own command, which knows nothing of our tables.

    Optuna ignores that a worker has stored something meanwhile, and then leaves the study as it was.
    """
    storage = rdb_storage(search.url)
    while name in optuna.get_all_study_names(storage):
        optuna.delete_study(study_name=name, storage=storage)
    storage.engine.dispose()


def before(function: Callable[..., Any], first: Callable[[], None]) -> Callable[..., Any]:
    """`function`, and `first` before its first call."""
    pending = [first]

    def call(*arguments: Any, **options: Any) -> Any:
        while pending:
            pending.pop()()
        return function(*arguments, **options)

    return call


def worker_on(search: Search, study: Study) -> Worker:
    return Worker(study, search.runs.parent, None, [Device("cpu", "cpu")])


def leaves_in_one_line(worker: Worker, name: str) -> None:
    with pytest.raises(StudyError, match=f"^--study: '{name}' was deleted from the database$"):
        worker.run(Interrupt())


@pytest.mark.parametrize(
    ("owner", "call"),
    [
        (worker_module, "check_data"),
        (Leases, "claim"),
        (worker_module, "ask"),
        (Leases, "sampled"),
        (Leases, "report"),
        (Leases, "finish"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_search_that_is_deleted_at_any_moment(
    search_on_each: Search, owner: Any, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = search_on_each
    worker = worker_on(search, search.create())
    monkeypatch.setattr(owner, call, before(getattr(owner, call), lambda: delete(search, "toy")))
    leaves_in_one_line(worker, "toy")


@pytest.mark.parametrize(
    ("owner", "call"),
    [(plans, "slot"), (retraining, "read_results")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_confirmation_that_is_deleted_while_a_round_is_planned(
    search_on_each: Search, owner: Any, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = search_on_each
    study = search.create("epochs=2", trials=3)
    assert worker_on(search, study).run(Interrupt()) == 0
    confirm.prepared(study, confirm.ConfirmRequest(top=1, seeds=2), search.runs.parent)
    worker = worker_on(search, open_study(search.url, "toy-confirm"))
    monkeypatch.setattr(owner, call, before(getattr(owner, call), lambda: delete(search, "toy-confirm")))
    leaves_in_one_line(worker, "toy-confirm")


def test_nothing_is_planned_for_a_study_that_was_deleted(search_on_each: Search) -> None:
    study = search_on_each.create()
    delete(search_on_each, "toy")
    assert not plans.append(study.engine, study.id, 0, [Slot(0, 0, 7)])


def test_a_retry_ends_when_the_study_is_deleted(search_on_each: Search) -> None:
    """A call that goes on failing while heartbeats succeed must not keep the worker."""
    worker = worker_on(search_on_each, search_on_each.create())
    delete(search_on_each, "toy")

    def fails() -> None:
        raise StorageInternalError

    with worker.heartbeat, pytest.raises(retry.LeaveTrial):
        retry.retry_until_answered(fails, Interrupt(), worker.heartbeat)
