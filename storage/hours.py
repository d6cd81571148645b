"""The budget in device-hours, beside the one in trials: the limit, and how much trials have used.

A trial uses the time in which a worker held it: from its first claim to its end or to its owner's last
sign of life, without the time in which it waited for another owner. Trials that share a device are
counted in full. All times are the database's.
"""

from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select

from storage.attributes import set_study_attribute, study_attribute
from storage.clock import now
from storage.studies import lock
from storage.tables import leases, takeovers

LIMIT = "search:gpu_hours"
"""Key of the limit among the study's attributes: hours as JSON."""


def limit(connection: Connection, study_id: int) -> float | None:
    """Hours after which no new trial is claimed; None without a limit."""
    stored = study_attribute(connection, study_id, LIMIT)
    return None if stored is None else float(stored)


def used(connection: Connection, study_id: int) -> float:
    """Hours that the trials of a study have used, including running ones."""
    total = func.coalesce(leases.c.finished_at, leases.c.renewed_at) - leases.c.started_at
    waited = takeovers.c.taken_at - takeovers.c.left_at
    sums = [
        select(func.sum(total)).where(leases.c.study_id == study_id),
        select(func.sum(waited)).where(takeovers.c.study_id == study_id),
    ]
    seconds, idle = (connection.scalar(query) or 0.0 for query in sums)
    return float(seconds - idle) / 3600


def spent(connection: Connection, study_id: int) -> bool:
    """Whether the limit is reached. The caller holds the study's lock."""
    hours = limit(connection, study_id)
    return hours is not None and used(connection, study_id) >= hours


def read(engine: Engine, study_id: int) -> tuple[float, float] | None:
    """Limit and used hours; None without a limit."""
    with engine.connect() as connection:
        hours = limit(connection, study_id)
        return None if hours is None else (hours, used(connection, study_id))


def set_limit(engine: Engine, study_id: int, hours: float) -> float:
    """Sets the limit to `hours`, but not below what is already used; returns the new limit."""
    with engine.begin() as connection:
        connection.execute(lock(study_id))  # no claim may come between the sum and the write
        budget = max(hours, used(connection, study_id))
        set_study_attribute(connection, study_id, LIMIT, budget)
        return budget


def record_takeover(connection: Connection, lease: Row[Any], attempt: int) -> None:
    """Stores how long a trial waited for the owner that begins `attempt`; `lease` is the row before."""
    connection.execute(
        insert(takeovers).values(
            trial_id=lease.trial_id,
            attempt=attempt,
            study_id=lease.study_id,
            left_at=lease.renewed_at,
            taken_at=now(),
        )
    )
