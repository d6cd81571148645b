"""A worker's signs of life: a thread that renews the lease, says what is going on, hears wishes to stop.

The thread outlives every database error: it says so once, keeps trying, and training goes on
meanwhile. What it learns is read by the main thread between batches: nothing here interrupts it.
"""

import logging
import threading
from types import TracebackType
from typing import Self

from search.objective import EpochResult
from storage.claims import Lease
from storage.errors import DATABASE_ERRORS, reason
from storage.leases import Leases, Status
from storage.studies import Stop

log = logging.getLogger(__name__)


class Heartbeat:
    """Beats from `with` until its end.

    Attributes:
        lease: the lease to renew; None while the worker has none.
        lost: the lease was somebody else's at the last beat: train no further.
        displaced: the device was somebody else's at the last beat: leave.
        study_deleted: the study is no longer in the database: leave.
        stop: what the study asks of its workers.
        reachable: the last beat went through, and so did everything since.
        beats: how many went through.
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._wake.set()
        self._thread.join(timeout=self._leases.beat_seconds)

    @property
    def must_leave(self) -> bool:
        """Whether the worker has to leave at once, as of the last beat."""
        return self.stop == "now" or self.displaced or self.study_deleted

    def hold(self, lease: Lease) -> None:
        """From now on `lease` is renewed."""
        self.lost = False
        self.lease = lease
        self._say(Status(state="training", number=lease.number, epoch=lease.epochs))

    def drop(self, state: str = "waiting") -> None:
        """From now on no lease is renewed. Call it before the trial ends, or its end looks like a loss."""
        self.lease = None
        self._say(Status(state=state))

    def epoch(self, result: EpochResult, best: float) -> None:
        """Says how far the trial is, with the next beat."""
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
        """Somebody could not reach the database: until the next beat that does, nobody tries."""
        if self.reachable:
            log.warning("the database is away (%s); training goes on", reason(error))
        self.reachable = False

    def _say(self, status: Status) -> None:
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
        # A beat that was under way while the trial ended says nothing about the next one.
        if lease is not None and self.lease is lease and not beat.held:
            self.lost = True
