"""Which worker has which GPU: one worker each, or as many as all of them were asked to share it with.

Containers that all see every GPU of their host know nothing of each other, so the database decides. A
device is known by its UUID, which is the same on the host and in every container. A worker holds it as
long as it gives signs of life, judged as for trials (`storage.claims`). All studies of a database share
the devices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, text, update

from storage.clock import now
from storage.leases import Leases
from storage.studies import mark_alive, undo_clock_jump
from storage.tables import devices, studies, workers

CLAIM_LOCK = 0x6D736764  # advisory lock of PostgreSQL while a device is claimed ("msgd")


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A device that a worker could use.

    Attributes:
        device: its UUID. label: what a person calls it.
        share: how many workers may have it at a time, this one included.
    """

    device: str
    label: str
    share: int = 1


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker that holds a requested device.

    Attributes:
        seen_at: its last sign of life, by the database's clock.
        lives: its process runs on this machine; False where this machine cannot see it.
    """

    worker_id: str
    host: str
    pid: int
    label: str
    seen_at: float
    lives: bool


def claim(leases: Leases, requests: Sequence[DeviceRequest]) -> DeviceRequest | list[Holder]:
    """Takes the first of the `requests` whose device is free; where none is, who holds them.

    The worker must have joined its study. A repeated call returns the same device.
    """
    with leases.engine.begin() as connection:
        _lock(connection)
        uuids = [request.device for request in requests]
        # First, since after a gap every holder gets a new chance to be heard.
        undo_clock_jump(connection, _studies_of(uuids))
        mark_alive(connection, _studies_of(uuids), leases.seconds)
        holders = _holders(connection, uuids)
        gone = [row.worker_id for row in holders if leases.claimant.finds_dead(row, row.seen_at)]
        connection.execute(delete(devices).where(devices.c.worker_id.in_(gone)))
        living = [row for row in holders if row.worker_id not in gone]
        for request in requests:
            owners = [row for row in living if row.holds == request.device]
            if leases.worker_id in {row.worker_id for row in owners}:
                return request
            if len(owners) < min([request.share, *(row.share or request.share for row in owners)]):
                _take(connection, leases.worker_id, request)
                return request
        return [_holder(leases, row) for row in living]


def _lock(connection: Connection) -> None:
    """One claim at a time; SQLite has one writing transaction anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CLAIM_LOCK})


def _studies_of(uuids: Sequence[str]) -> Select[tuple[int]]:
    return (
        select(workers.c.study_id)
        .join(devices, devices.c.worker_id == workers.c.worker_id)
        .where(devices.c.device.in_(uuids))
    )


def _holders(connection: Connection, uuids: Sequence[str]) -> list[Row[Any]]:
    query = (
        select(
            workers,
            devices.c.device.label("holds"),
            devices.c.share,
            studies.c.resumed_at,
            now().label("now"),
        )
        .join(devices, devices.c.worker_id == workers.c.worker_id)
        .join(studies, studies.c.study_id == workers.c.study_id)
        .where(devices.c.device.in_(uuids))
        .order_by(workers.c.worker_id)
    )
    return list(connection.execute(query))


def _take(connection: Connection, worker_id: str, request: DeviceRequest) -> None:
    connection.execute(
        insert(devices).values(worker_id=worker_id, device=request.device, share=request.share)
    )
    connection.execute(update(workers).where(workers.c.worker_id == worker_id).values(device=request.label))


def _holder(leases: Leases, row: Row[Any]) -> Holder:
    # On this machine and not found dead, so its process runs.
    lives = row.machine == leases.process.machine
    return Holder(row.worker_id, row.host, row.pid, row.device, row.seen_at, lives)
