"""What a worker does while the database is away: it tries again, and it can still be asked to leave."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy import exc

from search.runtime.signals import Interrupt
from search.worker.heartbeat import Heartbeat
from search.worker.outcome import first_line
from storage.errors import DATABASE_ERRORS, StorageError, reason

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.2, 15.0)  # first and longest pause between two attempts
LOOK_SECONDS = 0.2  # between two looks whether the database is back

AWAY: tuple[type[Exception], ...] = (*DATABASE_ERRORS, StorageInternalError, StorageError)
"""What is raised, by us and by Optuna, while the database is away."""

MISTAKES = (exc.ProgrammingError, exc.DataError, exc.IntegrityError, exc.NotSupportedError)
"""What a database says that is there: a table is gone, a statement is wrong. Asking again is no use."""

Answer = TypeVar("Answer")


class LeaveTrial(Exception):
    """This worker does not finish the trial: it was asked to go, or the lease is somebody else's."""


def retry_until_answered(call: Callable[[], Answer], interrupt: Interrupt, heartbeat: Heartbeat) -> Answer:
    """Calls until the database answers; raises LeaveTrial when asked to go before it does."""
    pause, longest = RETRY_SECONDS
    while True:
        try:
            return call()
        except MISTAKES:
            raise
        except AWAY as error:
            log.warning("the database is away (%s); trying again", reason(error))
        # Jitter: after an outage a hundred workers must not come back in step.
        if _asked_meanwhile(pause * random.uniform(0.5, 1.5), interrupt, heartbeat):
            raise LeaveTrial
        pause = min(pause * 2, longest)


def _asked_meanwhile(seconds: float, interrupt: Interrupt, heartbeat: Heartbeat) -> bool:
    """Waits, but not on after a sign of life went through; whether somebody asked this worker to leave."""
    beats, end = heartbeat.beats, time.monotonic() + seconds
    while heartbeat.beats == beats and (left := end - time.monotonic()) > 0:
        if interrupt.wait(min(left, LOOK_SECONDS)):
            return True
    return bool(interrupt) or heartbeat.stop == "now"


def try_once(call: Callable[[], None]) -> bool:
    """One attempt at something that others find out for themselves if it cannot be said."""
    try:
        call()
    except DATABASE_ERRORS as error:
        log.warning("could not be told: %s", first_line(error))
        return False
    return True
