"""All workers of a study have leases of one length: otherwise one takes over what another still trains."""

from pathlib import Path

import pytest
from service import Search

from search.errors import StudyError
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.study import Study
from search.worker.worker import Worker
from storage.leases import Leases, Status
from storage.processes import Process


def leases(study: Study, name: str, seconds: float, **process: str | int) -> Leases:
    here = Process.current()
    whose = Process(
        **{"host": here.host, "machine": here.machine, "pid": here.pid, "started": here.started, **process}
    )  # type: ignore[arg-type]
    return Leases(study.engine, study.id, name, whose, seconds)


def test_a_worker_with_another_length_is_refused_until_the_others_have_left(search_on_each: Search) -> None:
    study = search_on_each.create()
    first = leases(study, "first", 30)
    assert first.join("cpu") and leases(study, "second", 30).join("cpu")
    other = leases(study, "other", 60)
    assert not other.join("cpu") and (other.seconds, other.study_seconds) == (60, 30)
    first.leave()
    assert not other.join("cpu"), "the second one is still there"
    leases(study, "second", 30).leave()
    assert other.join("cpu") and other.join("cpu"), "also where the answer was lost"
    assert not first.join("cpu"), "the length is the newer one's now"


def test_workers_that_are_gone_do_not_set_the_length(search: Search) -> None:
    study = search.create()
    assert leases(study, "gone", 30, pid=2**22 + 1, started="1").join("cpu")
    assert leases(study, "other", 60).join("cpu")


def test_the_longer_length_decides_who_is_still_there(search: Search) -> None:
    """A worker elsewhere that was silent for a while is only dead by its own, longer lease."""
    study = search.create()
    away = leases(study, "away", 3600, host="elsewhere", machine="elsewhere")
    assert away.join("cpu")
    with study.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE search_workers SET seen_at = seen_at - 60")
        connection.exec_driver_sql("UPDATE search_studies SET resumed_at = resumed_at - 60")
    assert not leases(study, "impatient", 1).join("cpu")


def test_the_refusal_is_one_line_with_the_remedy(search: Search, tmp_path: Path) -> None:
    study = search.create()
    present = leases(study, "present", 12)
    assert present.join("cpu")
    present.beat(Status(state="training"), None)
    worker = Worker(study, tmp_path, None, [Device("cpu", "cpu")])
    with pytest.raises(
        StudyError, match=r"SEARCH_LEASE_SECONDS: is 30 here and 12 for .* set it to 12 here"
    ):
        worker.run(Interrupt())
