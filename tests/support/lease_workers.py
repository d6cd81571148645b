"""Workers of a study on machines of their own, without processes behind them."""

import time

from sqlalchemy import Engine

from storage import schema, studies
from storage.claims import Lease
from storage.engine import connect
from storage.leases import Leases, Status
from storage.processes import Process

SECONDS = 1.2


def new_study(url: str, trials: int, name: str = "toy") -> tuple[Engine, int]:
    schema.prepare(url)
    engine = connect(url)
    about = {"document": {}, "fingerprint": {}, "profile": None, "trials": trials}
    assert studies.create(engine, name, "maximize", **about)
    row = studies.find(engine, name)
    assert row is not None
    return engine, row.study_id


def worker(engine: Engine, study_id: int, name: str, seconds: float = SECONDS) -> Leases:
    """A worker on a machine of its own, so that its process cannot be looked up from another."""
    process = Process(host=name, machine=name, pid=1, started="0")
    found = Leases(engine, study_id, name, process, seconds=seconds)
    found.join("cpu")
    return found


def claimed(leases: Leases) -> Lease:
    lease = leases.claim()
    assert isinstance(lease, Lease), lease
    return lease


def keep_alive(leases: Leases, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        leases.beat(Status(state="training"), None)
        time.sleep(SECONDS / 6)
