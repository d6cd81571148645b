"""Workers of a study on machines of their own, without processes behind them."""

import time

import optuna
from sqlalchemy import Engine

from storage import engine as engines
from storage import studies
from storage.leases import Lease, Leases, Status
from storage.processes import Process

SECONDS = 1.2


def new_study(url: str, trials: int, name: str = "toy") -> tuple[Engine, int]:
    engines.prepare(url)
    storage = engines.optuna_storage(url)
    study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
    study_id = storage.get_study_id_from_name(study.study_name)
    engine = engines.connect(url)
    studies.register(engine, study_id, document={}, fingerprint={}, profile=None, trials=trials)
    return engine, study_id


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
