"""Claiming a trial: one whose owner is gone, else a new one; inside one transaction under the study's lock.

A slot of the budget and its trial are created together, so that the number of slots equals the number of
trials at every instant. A trial without a live owner is handed out before a new slot is. A slot whose trial
was deleted from Optuna's table is free again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from storage import hours, stop_rules
from storage.attributes import set_study_attribute, study_attribute
from storage.clock import now, utc
from storage.processes import Process
from storage.studies import count_claimed, lock, mark_alive, undo_clock_jump
from storage.tables import is_tied, leases, points, studies, takeovers, trials, workers

LEASE_SECONDS = "search:lease_seconds"
"""Key of the length of a study's leases among its attributes."""

Refusal = Literal["wait", "spent", "stopped", "deleted"]
"""Why there is no lease: others still train the last trials; the budget is used up or the study's stop rule
is met; the study was asked to stop; it was deleted from Optuna's tables."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to train one trial.

    Attributes:
        trial_id, number: Optuna's. slot: position in the budget, from 0.
        attempt: 1 for the first owner.
        deaths: owners that died in a row without finishing an epoch.
        epochs: the last epoch that was reported.
        left_by: the owner before, unless it gave the trial back.
    """

    trial_id: int
    number: int
    slot: int
    attempt: int
    deaths: int
    epochs: int
    left_by: str | None = None


@dataclass(frozen=True, slots=True)
class Claimant:
    """A worker, and how it judges whether another one is dead.

    Attributes:
        seconds: how long an owner may be silent.
    """

    worker_id: str
    process: Process
    seconds: float

    def finds_dead(self, worker: Row[Any], last_sign: float) -> bool:
        """Whether a worker has left, its process is gone, or it was silent for too long.

        Args:
            worker: columns of `workers`, `resumed_at` of its study, and the database's time as `now`.
            last_sign: when it was last heard of.
        """
        process = worker.machine, worker.pid, worker.started
        if worker.left_at is not None or self.process.sees_gone(*process):
            return True
        return bool(worker.now - max(last_sign, worker.resumed_at) > self.seconds)


def claim(connection: Connection, study_id: int, claimant: Claimant) -> Lease | Refusal:
    """A trial whose owner is gone, else a new one, else why there is none."""
    connection.execute(lock(study_id))
    undo_clock_jump(connection, [study_id])
    mark_alive(connection, [study_id], claimant.seconds)
    query = select(studies).where(studies.c.study_id == study_id, is_tied())
    study = connection.execute(query).one_or_none()
    if study is None:
        return "deleted"
    if study.stop is not None:
        return "stopped"
    _forget_deleted(connection, study_id)
    unfinished = _unfinished(connection, study_id)
    for row in unfinished:
        if row.owner == claimant.worker_id:  # the answer to an earlier claim was lost on the way
            return Lease(row.trial_id, row.number, row.slot, row.attempt, row.deaths, row.epochs)
    for row in unfinished:
        if row.owner is None or claimant.finds_dead(row, row.renewed_at):
            taken = _take_over(connection, row, claimant.worker_id)
            if taken is not None:
                return taken
    claimed = count_claimed(connection, study_id)
    if (
        claimed < study.trials
        and not hours.spent(connection, study_id)
        and not stop_rules.is_met(connection, study_id, study.document, claimed)
    ):
        return _create(connection, study_id, claimant.worker_id)
    return "wait" if unfinished else "spent"


def living(connection: Connection, study_ids: Sequence[int], claimant: Claimant) -> list[Row[Any]]:
    """The other workers of these studies that `claimant` would not find dead, by host."""
    query = (
        select(workers, studies.c.resumed_at, now().label("now"))
        .join(studies, studies.c.study_id == workers.c.study_id)
        .where(workers.c.study_id.in_(study_ids), workers.c.worker_id != claimant.worker_id)
        .order_by(workers.c.host, workers.c.pid)
    )
    return [row for row in connection.execute(query) if not claimant.finds_dead(row, row.seen_at)]


def lease_seconds(connection: Connection, study_id: int, claimant: Claimant) -> float:
    """How long the study's leases last: as its living workers have it, else as `claimant` from now on."""
    stored = study_attribute(connection, study_id, LEASE_SECONDS)
    if stored is not None and stored != claimant.seconds:
        patient = replace(claimant, seconds=max(stored, claimant.seconds))
        if living(connection, [study_id], patient):
            return float(stored)
    set_study_attribute(connection, study_id, LEASE_SECONDS, claimant.seconds)
    return claimant.seconds


def _unfinished(connection: Connection, study_id: int) -> list[Row[Any]]:
    """Leases of trials that have not ended, by slot, each with its owner."""
    query = (
        select(
            leases,
            trials.c.number,
            workers.c.machine,
            workers.c.pid,
            workers.c.started,
            workers.c.left_at,
            studies.c.resumed_at,
            now().label("now"),
        )
        .join(trials, trials.c.trial_id == leases.c.trial_id)
        .join(studies, studies.c.study_id == leases.c.study_id)
        .outerjoin(workers, workers.c.worker_id == leases.c.owner)
        .where(leases.c.study_id == study_id, leases.c.finished_at.is_(None))
        .order_by(leases.c.slot)
    )
    return list(connection.execute(query))


def _take_over(connection: Connection, row: Row[Any], worker_id: str) -> Lease | None:
    """Makes `worker_id` the owner, unless the old one has renewed since the row was read."""
    deaths = row.deaths + (row.owner is not None)
    done = connection.execute(
        update(leases)
        .where(
            leases.c.trial_id == row.trial_id,
            leases.c.owner.is_not_distinct_from(row.owner),
            leases.c.attempt == row.attempt,
            leases.c.renewed_at == row.renewed_at,
            leases.c.finished_at.is_(None),
        )
        .values(owner=worker_id, attempt=row.attempt + 1, deaths=deaths, renewed_at=now())
    )
    if done.rowcount != 1:
        return None
    hours.record_takeover(connection, row, row.attempt + 1)
    return Lease(row.trial_id, row.number, row.slot, row.attempt + 1, deaths, row.epochs, row.owner)


def _forget_deleted(connection: Connection, study_id: int) -> None:
    """Removes our rows of trials that somebody has deleted from Optuna's table.

    Each trial has a lease, so that the many scores are looked through only where one is gone.
    """
    there = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    gone = (leases.c.study_id == study_id) & leases.c.trial_id.not_in(there)
    deleted = connection.scalars(select(leases.c.trial_id).where(gone)).all()
    if deleted:
        for table in (takeovers, points, leases):
            connection.execute(delete(table).where(table.c.trial_id.in_(deleted)))


def _create(connection: Connection, study_id: int, worker_id: str) -> Lease:
    taken = set(connection.scalars(select(leases.c.slot).where(leases.c.study_id == study_id)))
    slot = next(slot for slot in count() if slot not in taken)
    last = select(func.max(trials.c.number)).where(trials.c.study_id == study_id)
    number = connection.scalars(last).one()
    number = 0 if number is None else number + 1
    created = connection.execute(
        insert(trials).values(study_id=study_id, number=number, state="RUNNING", datetime_start=utc())
    )
    trial_id = created.inserted_primary_key[0]  # type: ignore[index]
    for table in (takeovers, leases):  # SQLite uses the ids of a deleted study's trials again
        connection.execute(delete(table).where(table.c.trial_id == trial_id))
    connection.execute(
        insert(leases).values(
            trial_id=trial_id,
            study_id=study_id,
            slot=slot,
            owner=worker_id,
            attempt=1,
            deaths=0,
            epochs=0,
            renewed_at=now(),
            started_at=now(),
        )
    )
    return Lease(trial_id, number, slot, attempt=1, deaths=0, epochs=0)
