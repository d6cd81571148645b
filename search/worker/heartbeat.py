"""A worker's heartbeat: a thread that renews the lease, stores its status, reads requests to stop.

The thread survives every database error: it logs the first one and keeps trying, while training continues.
The main thread reads what it has learnt between batches; nothing here interrupts that thread.
"""

import logging
import threading
from typing import Self

from search.objective import EpochResult
from storage.claims import Lease
from storage.errors import DATABASE_ERRORS, reason
from storage.leases import Leases, Status
from storage.studies import Stop

log = logging.getLogger(__name__)


class Heartbeat:
    """Beats inside its `with` block.

    Attributes:
        lease: the lease to renew; None while the worker has none.
        lost: at the last beat the lease was another worker's: stop training.
        displaced: at the last beat the device was another worker's: leave.
        study_deleted: the study is no longer in the database: leave.
        stop: how the study asks its workers to stop, if it does.
        reachable: the last beat succeeded, and so did every call since.
        beats: how many succeeded.
    """

    def __init__(self, leases: Leases) -> None:
        self.lease: Lease | None = None
        self.lost = False
        self.displaced = False
        self.study_deleted = False
        self.stop: Stop | None = None
        self.reachable = True
        self.beats = 0
        self._leases = leases
        self._status = Status(state="starting")
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = True
        self._wake.set()
        self._thread.join(timeout=self._leases.beat_seconds)

    @property
    def must_leave(self) -> bool:
        """Whether the worker has to leave at once, as of the last beat."""
        return self.stop == "now" or self.displaced or self.study_deleted

    def hold(self, lease: Lease) -> None:
        """Renews `lease` from now on."""
        self.lost = False
        self.lease = lease
        self._update(Status(state="training", number=lease.number, epoch=lease.epochs))

    def drop(self, state: str = "waiting") -> None:
        """Renews no lease from now on. Call it before a trial ends, or the end looks like a lost lease."""
        self.lease = None
        self._update(Status(state=state))

    def epoch(self, result: EpochResult, best: float) -> None:
        """Has the next beat store how far the trial is."""
        if self.lease is not None:
            self._status = Status(
                state="training",
                number=self.lease.number,
                epoch=result.epoch,
                epochs=result.epochs,
                score=result.score,
                best=best,
                lr=result.lr,
                images_per_second=result.metrics.get("images_per_second"),
            )

    def away(self, error: Exception) -> None:
        """Notes that a call did not reach the database: nobody tries until a beat does."""
        if self.reachable:
            log.warning("the database is away (%s); training continues", reason(error))
        self.reachable = False

    def finds_study_deleted(self) -> bool:
        """Beats once more; whether the study is no longer in the database, where that answers."""
        self._beat()
        return self.study_deleted

    def _update(self, status: Status) -> None:
        self._status = status
        self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            self._beat()
            self._wake.wait(self._leases.beat_seconds)
            self._wake.clear()

    def _beat(self) -> None:
        lease = self.lease
        try:
            beat = self._leases.beat(self._status, lease)
        except DATABASE_ERRORS as error:
            self.away(error)
            return
        if not self.reachable:
            log.info("the database is back")
        self.reachable = True
        self.beats += 1
        self.stop = beat.stop
        self.displaced = not beat.has_device
        self.study_deleted = beat.study_deleted
        # A beat that began before the trial ended says nothing about the next trial.
        if lease is not None and self.lease is lease and not beat.held:
            self.lost = True
