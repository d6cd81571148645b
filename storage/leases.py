"""Who may train which trial: leases, and the writes that need one.

**Claiming** is in `storage.claims`. Nothing else creates trials.

**Owning.** A lease is (owner, attempt): the worker that holds the trial, and how often it was claimed.
`sampled`, `report` and `finish` test it in the transaction that writes. So a worker that was found dead
cannot publish anything afterwards, and an epoch or a result is never stored twice.

**Time.** Only the database's clock counts. An owner is dead when its lease was not renewed for
`seconds`. Silence does not count while NOBODY could be heard: when signs of life come back after a
gap (a restarted, stopped or unreachable database), all leases count from then (`resumed_at`), so that
every owner has the chance to renew. An owner whose process is gone, as seen from the same machine, is
dead at once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, delete, insert, select, update

from storage import claims, constraints, pages, points, reports
from storage.attributes import add_trial_attributes, trial_attribute
from storage.claims import Claimant, Lease, Refusal
from storage.clock import now, utc
from storage.constraints import CheckedConfig
from storage.engine import single_statements
from storage.environment import seconds
from storage.pages import Page
from storage.points import Stored
from storage.processes import Process
from storage.studies import Stop, lock, mark_alive
from storage.tables import (
    devices,
    holds_lease,
    insert_or_ignore,
    is_tied,
    leases,
    studies,
    trials,
    values,
    workers,
)

LEASE_SECONDS = seconds("SEARCH_LEASE_SECONDS", 30.0)
"""How long an owner may be silent. The same for all workers of a study; tests shorten it."""
BEATS_PER_LEASE = 6

HUNG = "hung"
"""User attribute of a trial: its first hang."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """What a worker reports of itself with every sign of life; as `search.records.WorkerView` has it."""

    state: str
    number: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    score: float | None = None
    best: float | None = None
    lr: float | None = None
    images_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class BeatReply:
    """The answer to a sign of life.

    Attributes:
        held: the worker still holds the lease. stop: what the study asks of its workers.
        has_device: the worker still holds its device; always true on a CPU.
        study_deleted: the study is no longer among Optuna's.
    """

    held: bool
    stop: Stop | None
    has_device: bool = True
    study_deleted: bool = False


class Leases:
    """One worker's access to the tables. Thread-safe: each call is one transaction of its own.

    Every method raises SQLAlchemy's errors while the database cannot be reached. Each may be called again,
    even when it is unknown whether the first call went through.

    Attributes:
        device: what this worker holds by `storage.devices.claim`; None on a CPU.
        study_seconds: the length of the study's leases, once this worker has tried to join.
    """

    def __init__(
        self,
        engine: Engine,
        study_id: int,
        worker_id: str,
        process: Process,
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self.engine = engine
        self._single_statements = single_statements(engine)
        self.study_id = study_id
        self.worker_id = worker_id
        self.process = process
        self.seconds = seconds
        self.claimant = Claimant(worker_id, process, seconds)
        self.device: str | None = None
        self.study_seconds = seconds

    @property
    def beat_seconds(self) -> float:
        return self.seconds / BEATS_PER_LEASE

    def join(self, device: str) -> bool:
        """Adds this worker to the study; False where that was deleted or has leases of another length.

        The length is that of the workers that are there: `study_seconds`. Who comes first sets it.
        """
        ids = {"worker_id": self.worker_id, "study_id": self.study_id}
        row = {**ids, **asdict(self.process), "device": device, "state": "starting"}
        with self.engine.begin() as connection:
            connection.execute(lock(self.study_id))
            study = select(studies.c.study_id).where(studies.c.study_id == self.study_id, is_tied())
            if connection.scalar(study) is None:
                return False
            claimant = Claimant(self.worker_id, self.process, self.seconds)
            self.study_seconds = claims.lease_seconds(connection, self.study_id, claimant)
            if self.study_seconds != self.seconds:
                return False
            connection.execute(insert_or_ignore(connection, workers).values(**row, seen_at=now()))
        return True

    def leave(self) -> None:
        """Records that this worker has left, and frees its device."""
        with self.engine.begin() as connection:
            if self.device is not None:
                connection.execute(delete(devices).where(devices.c.worker_id == self.worker_id))
            connection.execute(
                update(workers)
                .where(workers.c.worker_id == self.worker_id)
                .values(left_at=now(), seen_at=now())
            )

    def beat(self, status: Status, lease: Lease | None) -> BeatReply:
        """A sign of life: renews `lease` and stores what this worker does."""
        with self.engine.begin() as connection:
            mark_alive(connection, [self.study_id], self.seconds)
            held = lease is not None and self._renew(connection, lease)
            connection.execute(
                update(workers)
                .where(workers.c.worker_id == self.worker_id)
                .values(**asdict(status), seen_at=now())
            )
            query = select(studies.c.stop).where(studies.c.study_id == self.study_id, is_tied())
            study = connection.execute(query).one_or_none()
            held_by = select(devices.c.device).where(devices.c.worker_id == self.worker_id)
            has_device = self.device is None or connection.scalar(held_by) is not None
        return BeatReply(held, study.stop if study else None, has_device, study is None)

    def claim(self) -> Lease | Refusal:
        with self.engine.begin() as connection:
            return claims.claim(connection, self.study_id, self.claimant)

    def sampled(
        self,
        lease: Lease,
        rows: Sequence[Mapping[str, Any]],
        point: str | None,
        repeat: int = 0,
        attributes: Mapping[str, Any] | None = None,
        checked: Collection[CheckedConfig] = (),
    ) -> Stored:
        """Stores the trial's parameters and user attributes; see `storage.points`.

        `checked` configs, the trial's and those that were not taken, are stored even where a point is
        another trial's by now.
        """
        with self.engine.begin() as connection:
            if not self._renew(connection, lease):
                return "lost"
            constraints.add(connection, self.study_id, checked)
            sample = rows, point, repeat, attributes or {}
            return points.store(connection, self.study_id, lease.trial_id, *sample)

    def report(self, lease: Lease, epoch: int, horizon: int, score: float) -> bool:
        """Stores the finite score of an epoch; False, and nothing stored, without the lease.

        An epoch that is stored already stays as it is and is no progress. Otherwise owners that die in the
        epoch after the checkpoint, and report the checkpoint's epoch first, would look alive for ever.
        """
        owner = lease.trial_id, self.worker_id, lease.attempt
        return reports.store(self._single_statements, *owner, epoch=epoch, horizon=horizon, score=score)

    def finish(
        self,
        lease: Lease,
        state: Literal["COMPLETE", "PRUNED", "FAIL"],
        value: float | None,
        attributes: Mapping[str, Any],
        page: Page | None = None,
    ) -> bool:
        """Ends the trial with its value, user attributes and page; False without the lease.

        True also where this owner has ended it before, and only the answer to that call was lost.
        """
        with self.engine.begin() as connection:
            if not self._renew(connection, lease, finished_at=now()):
                return self._has_finished(connection, lease)
            connection.execute(
                update(trials)
                .where(trials.c.trial_id == lease.trial_id)
                .values(state=state, datetime_complete=utc())
            )
            # Another program may have told Optuna a value of its own for this trial.
            connection.execute(delete(values).where(values.c.trial_id == lease.trial_id))
            if value is not None:
                connection.execute(
                    insert(values).values(
                        trial_id=lease.trial_id, objective=0, value=value, value_type="FINITE"
                    )
                )
            # Attributes that exist stay: the seed of a repeat, the verdict on a control.
            add_trial_attributes(connection, lease.trial_id, attributes)
            if page is not None:
                pages.write(connection, self.study_id, lease.trial_id, page)
        return True

    def is_first_hang(self, lease: Lease, text: str) -> bool:
        """Records that the trial hung; False where an earlier attempt did: the trial is at fault then."""
        with self.engine.begin() as connection:
            hang = {"attempt": lease.attempt, "text": text}
            add_trial_attributes(connection, lease.trial_id, {HUNG: hang})
            return bool(trial_attribute(connection, lease.trial_id, HUNG)["attempt"] == lease.attempt)

    def add_attributes(self, lease: Lease, attributes: Mapping[str, Any]) -> None:
        """Adds user attributes to a running trial; those that exist stay. Nothing without the lease."""
        query = select(leases.c.trial_id).where(holds_lease(lease.trial_id, self.worker_id, lease.attempt))
        with self.engine.begin() as connection:
            if connection.scalar(query.with_for_update()) is not None:
                add_trial_attributes(connection, lease.trial_id, attributes)

    def renew(self, lease: Lease) -> bool:
        with self.engine.begin() as connection:
            return self._renew(connection, lease)

    def release(self, lease: Lease) -> None:
        """Gives the trial back: the next claim takes it over at once.

        An owner that has lost the lease was slow and not dead: its counted death is taken back, since the
        trial did not kill it.
        """
        with self.engine.begin() as connection:
            if not self._renew(connection, lease, owner=None):
                connection.execute(
                    update(leases)
                    .where(
                        leases.c.trial_id == lease.trial_id,
                        leases.c.attempt > lease.attempt,
                        leases.c.finished_at.is_(None),
                        leases.c.deaths > 0,
                    )
                    .values(deaths=leases.c.deaths - 1)
                )

    # -- inside a transaction --------------------------------------------------------------------

    def _renew(self, connection: Connection, lease: Lease, **changes: Any) -> bool:
        done = connection.execute(
            update(leases)
            .where(holds_lease(lease.trial_id, self.worker_id, lease.attempt))
            .values(renewed_at=now(), **changes)
        )
        return done.rowcount == 1

    def _has_finished(self, connection: Connection, lease: Lease) -> bool:
        query = select(leases.c.trial_id).where(
            leases.c.trial_id == lease.trial_id,
            leases.c.owner == self.worker_id,
            leases.c.attempt == lease.attempt,
            leases.c.finished_at.is_not(None),
        )
        return connection.scalar(query) is not None
