"""Who has which GPU: leases in the database, and real workers with GPUs that only nvidia-smi knows of."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_nvml import GPUS, fake_gpus
from lease_workers import SECONDS, keep_alive, new_study, pass_time, worker
from service import Answer, Search
from sqlalchemy import Engine

from storage import tables
from storage.devices import DeviceRequest, Holder, claim
from storage.leases import Leases, Status
from storage.processes import Process

A, B = DeviceRequest("GPU-a", "GPU 0"), DeviceRequest("GPU-b", "GPU 1")
TWO: GPUS = {"GPU-aaaa": [], "GPU-bbbb": []}


@pytest.fixture
def study(url: str) -> tuple[Engine, int]:
    return new_study(url, trials=3)


def take(leases: Leases, *wanted: DeviceRequest) -> str | None:
    """The device that was taken; None where all are held."""
    answer = claim(leases, wanted)
    if not isinstance(answer, DeviceRequest):
        return None
    leases.device = answer.device
    return answer.device


def test_each_worker_has_its_own(study: tuple[Engine, int]) -> None:
    a, b, c = (worker(*study, name) for name in "abc")
    assert take(a, A, B) == take(a, A, B) == "GPU-a", "asked again, it is the same"
    assert take(b, A, B) == "GPU-b"
    answer = claim(c, [A, B])
    assert isinstance(answer, list)
    assert [(holder.worker_id, holder.label, holder.lives) for holder in answer] == [
        ("a", "GPU 0", False),
        ("b", "GPU 1", False),
    ]
    a.leave()
    assert take(c, A, B) == "GPU-a"


def test_all_studies_of_a_database_share_the_devices(url: str) -> None:
    study = new_study(url, trials=1)
    other = new_study(url, trials=1, name="other")
    a, b = worker(*study, "a"), worker(*other, "b")
    assert (take(a, A), take(b, A)) == ("GPU-a", None)


def test_sharing_is_what_all_of_them_asked_for(study: tuple[Engine, int]) -> None:
    pair = DeviceRequest("GPU-a", "GPU 0", share=2)
    a, b, c = (worker(*study, name) for name in "abc")
    assert (take(a, pair), take(b, pair), take(c, pair)) == ("GPU-a", "GPU-a", None)
    a.leave()
    assert take(c, A) is None, "a worker that wants a GPU alone joins no holder"
    assert take(c, pair) == "GPU-a"
    b.leave()
    c.leave()
    d, e = worker(*study, "d"), worker(*study, "e")
    assert take(d, A) == "GPU-a"
    assert take(e, pair) is None, "nobody joins a holder that wants it alone"
    with study[0].begin() as connection:
        connection.execute(tables.devices.update().values(share=None))
    assert take(e, pair) == "GPU-a", "a worker of an older version has not said"


def test_a_silent_holder_loses_it_and_hears_so(study: tuple[Engine, int]) -> None:
    a, b = worker(*study, "a"), worker(*study, "b")
    assert take(a, A) == "GPU-a"
    assert a.beat(Status(state="training"), None).has_device
    keep_alive(b, SECONDS * 1.5)
    assert take(b, A) == "GPU-a"
    assert not a.beat(Status(state="training"), None).has_device
    assert take(a, A) is None, "nor does it come back"


def test_after_an_outage_a_holder_may_be_heard_first(url: str) -> None:
    """Also where only a worker of another study is there to notice."""
    a = worker(*new_study(url, trials=1), "a")
    b = worker(*new_study(url, trials=1, name="other"), "b")
    assert take(a, A) == "GPU-a"
    pass_time(b.engine, SECONDS * 1.5)  # nobody can be heard: the database is away
    assert take(b, A) is None
    assert a.beat(Status(state="training"), None).has_device
    for _ in range(5):
        pass_time(b.engine, SECONDS / 6)
        assert take(b, A) is None, "it was heard a moment ago"
    for _ in range(2):
        pass_time(b.engine, SECONDS / 6)
        take(b, A)
    assert b.device == "GPU-a", "a dead one keeps it for ever"


def test_a_dead_process_of_this_machine_holds_no_gpu(study: tuple[Engine, int]) -> None:
    """Of a process of this machine it is known at once whether it lives."""
    here = Process.current()
    a = Leases(*study, "a", here, seconds=60)
    b = Leases(*study, "b", here, seconds=60)
    for leases in (a, b):
        leases.join("")
    assert take(a, A) == "GPU-a"
    (holder,) = claim(b, [A])  # type: ignore[misc]
    assert isinstance(holder, Holder) and holder.lives and holder.pid == os.getpid()
    gone = Process(host=here.host, machine=here.machine, pid=here.pid, started="an earlier one")
    with study[0].begin() as connection:
        connection.execute(
            tables.workers.update().where(tables.workers.c.worker_id == "a").values(started=gone.started)
        )
    assert take(b, A) == "GPU-a"


# -- real workers ----------------------------------------------------------------------------------


def with_gpus(search: Search, folder: Path, gpus: GPUS) -> None:
    """From now on the search runs on a machine with these GPUs."""
    search.environment |= fake_gpus(folder, gpus)
    search.environment.pop("CUDA_VISIBLE_DEVICES", None)


def working(search: Search) -> dict[str, list[int]]:
    """Processes of workers that train, by device."""
    snapshot = search.snapshot()
    assert snapshot is not None
    found: dict[str, list[int]] = {}
    for one in snapshot.workers:
        if one.trial is not None:
            found.setdefault(one.device, []).append(one.pid)
    return found


def test_three_workers_race_for_two_gpus(search: Search, tmp_path: Path) -> None:
    with_gpus(search, tmp_path, TWO)
    search.create("seconds=1.0", "epochs=10000", trials=20)
    racing = [search.spawn("worker") for _ in range(3)]
    search.wait(lambda: any(process.poll() == 0 for process in racing))
    first = search.wait(lambda: len(found := working(search)) == 2 and found)
    assert first.keys() == {"GPU 0", "GPU 1"}
    (line,) = [line for line in search.said.splitlines() if "no GPU is free" in line]
    assert "GPU 0 is used by process " in line and "GPU 1 is used by process " in line
    assert sum(process.poll() is None for process in racing) == 2

    (victim,) = first["GPU 1"]
    os.kill(victim, signal.SIGKILL)
    search.spawn("worker")
    second = search.wait(lambda: (found := working(search)).get("GPU 1") not in (None, [victim]) and found)
    assert second.keys() == {"GPU 0", "GPU 1"}


def test_workers_of_one_start_share_a_gpu_on_purpose(
    search: Search, command: Callable[..., Answer], tmp_path: Path
) -> None:
    with_gpus(search, tmp_path, {"GPU-aaaa": []})
    search.create("seconds=1.0", "epochs=10000", trials=20)
    process = search.spawn("start", "--workers", "2")
    pids = search.wait(lambda: len(found := working(search).get("GPU 0", [])) == 2 and found)
    for pid in pids:
        assert "CUDA_VISIBLE_DEVICES=GPU-aaaa" in Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert search.run("start").err.count("no GPU is free: GPU ") == 1, "its worker is turned away"
    command("stop", "--now")
    search.ends(process, 1)  # no trial is complete
