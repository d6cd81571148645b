"""Workers of a study on machines of their own, without processes behind them, and time that passes at once.

Leases are judged by the times in the tables alone. `pass_time` moves all of them into the past, so no test
sleeps until a lease has run out; the whole searches of tests/e2e do it in real time.
"""

from typing import Any

from sqlalchemy import Engine, update

from storage import schema, studies, tables
from storage.claims import Lease
from storage.engine import connect
from storage.leases import Leases, Status
from storage.processes import Process

SECONDS = 60.0  # of a lease


def new_study(
    url: str, trials: int, name: str = "toy", document: dict[str, Any] | None = None
) -> tuple[Engine, int]:
    schema.prepare(url)
    engine = connect(url)
    about = {"document": document or {}, "fingerprint": {}, "profile": None, "trials": trials}
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


def pass_time(engine: Engine, seconds: float) -> None:
    """Makes it `seconds` later, in which nobody was heard."""
    with engine.begin() as connection:
        for table in (tables.studies, tables.workers, tables.leases):
            times = [column for column in table.columns if column.name.endswith("_at")]
            connection.execute(update(table).values({time: time - seconds for time in times}))


def keep_alive(leases: Leases, seconds: float, lease: Lease | None = None) -> bool:
    """Makes it `seconds` later, with a beat of this worker six times per lease; whether it kept `lease`."""
    held = []
    for _ in range(round(6 * seconds / SECONDS)):
        pass_time(leases.engine, SECONDS / 6)
        held.append(leases.beat(Status(state="training"), lease).held)
    return all(held)
