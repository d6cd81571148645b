"""Which worker has which GPU: one worker each, several where they were asked to share it.

Containers that all see all GPUs of their host know nothing of each other; the database tells them apart.
A device is known by its UUID, the same on the host and in every container. It is held by a worker for
as long as that one gives signs of life, judged as for trials: by the database's clock, at once where the
process is seen to be gone, and after an outage only once its holder had the chance to be heard. All
studies of a database share the devices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, text, update

from storage.leases import Leases
from storage.studies import mark_alive
from storage.tables import devices, now, studies, workers

CLAIM_LOCK = 0x6D736764  # advisory lock of PostgreSQL while a device is claimed ("msgd")


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A device that a worker would take.

    Attributes:
        device: its UUID. label: what a person calls it.
        share: how many workers may have it at a time, this one included.
    """

    device: str
    label: str
    share: int = 1


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker that has a device which was wanted.

    Attributes:
        seen_at: its last sign of life, by the database's clock.
        lives: its process runs on this machine; False where that cannot be told from here.
    """

    worker_id: str
    host: str
    pid: int
    label: str
    seen_at: float
    lives: bool


def claim(leases: Leases, wanted: Sequence[DeviceRequest]) -> DeviceRequest | list[Holder]:
    """The first of `wanted` that is free, from now on this worker's; else who holds them.

    The worker has joined its study before. Asked again, the answer is the same device.
    """
    with leases.engine.begin() as connection:
        _lock(connection)
        names = [item.device for item in wanted]
        # Before they are judged: a gap that is noticed just now gives every holder a new chance.
        mark_alive(connection, _studies_of(names), leases.seconds)
        holders = _holders(connection, names)
        gone = [row.worker_id for row in holders if leases.claimant.finds_dead(row, row.seen_at)]
        connection.execute(delete(devices).where(devices.c.worker_id.in_(gone)))
        live = [row for row in holders if row.worker_id not in gone]
        for item in wanted:
            having = [row.worker_id for row in live if row.holds == item.device]
            if leases.worker_id in having:
                return item
            if len(having) < item.share:
                _take(connection, leases.worker_id, item)
                return item
        return [_holder(leases, row) for row in live]


def _lock(connection: Connection) -> None:
    """One claim at a time; a transaction of SQLite is alone already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CLAIM_LOCK})


def _studies_of(wanted: Sequence[str]) -> Select[tuple[int]]:
    return (
        select(workers.c.study_id)
        .join(devices, devices.c.worker_id == workers.c.worker_id)
        .where(devices.c.device.in_(wanted))
    )


def _holders(connection: Connection, wanted: Sequence[str]) -> list[Row[Any]]:
    query = (
        select(workers, devices.c.device.label("holds"), studies.c.resumed_at, now().label("now"))
        .join(devices, devices.c.worker_id == workers.c.worker_id)
        .join(studies, studies.c.study_id == workers.c.study_id)
        .where(devices.c.device.in_(wanted))
        .order_by(workers.c.worker_id)
    )
    return list(connection.execute(query))


def _take(connection: Connection, worker_id: str, item: DeviceRequest) -> None:
    connection.execute(insert(devices).values(worker_id=worker_id, device=item.device))
    connection.execute(update(workers).where(workers.c.worker_id == worker_id).values(device=item.label))


def _holder(leases: Leases, row: Row[Any]) -> Holder:
    # Of the same machine, and not gone: then it runs.
    here = row.machine == leases.process.machine
    return Holder(row.worker_id, row.host, row.pid, row.device, row.seen_at, here)
