"""Database calls while the database is away: tried again, until the process is asked to leave."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from optuna.exceptions import StorageInternalError

from search.errors import first_line
from search.runtime.signals import Interrupt
from search.worker.heartbeat import Heartbeat
from storage.errors import DATABASE_ERRORS, StorageError, is_mistake, reason

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.2, 15.0)  # first and longest pause between two attempts
LOOK_SECONDS = 0.2  # between two checks whether the database is back

AWAY: tuple[type[Exception], ...] = (*DATABASE_ERRORS, StorageInternalError, StorageError)
"""Raised, by us and by Optuna, while the database is away."""

Answer = TypeVar("Answer")


class LeaveTrial(Exception):
    """This worker does not go on: it was asked to leave, or the trial's lease is another worker's."""


def retry_until_answered(
    call: Callable[[], Answer], interrupt: Interrupt, heartbeat: Heartbeat | None = None
) -> Answer:
    """Calls until the database answers; raises LeaveTrial when asked to leave before that.

    Args:
        heartbeat: finds out that the database is back; None where there is no worker yet.
    """
    pause, longest = RETRY_SECONDS
    while True:
        try:
            return call()
        except AWAY as error:
            if is_mistake(error):
                raise
            log.warning("the database is away (%s); trying again", reason(error))
        # Jitter, so that a hundred workers do not come back all at once after an outage.
        if _asked_to_leave_within(pause * random.uniform(0.5, 1.5), interrupt, heartbeat):
            raise LeaveTrial
        pause = min(pause * 2, longest)


def _asked_to_leave_within(seconds: float, interrupt: Interrupt, heartbeat: Heartbeat | None) -> bool:
    """Waits, at most until a heartbeat succeeds; returns whether the worker was asked to leave."""
    if heartbeat is None:
        return interrupt.wait(seconds)
    beats, end = heartbeat.beats, time.monotonic() + seconds
    while heartbeat.beats == beats and (left := end - time.monotonic()) > 0:
        if interrupt.wait(min(left, LOOK_SECONDS)):
            return True
    return bool(interrupt) or heartbeat.must_leave


def try_once(call: Callable[[], None]) -> bool:
    """Tries once to write what other workers find out by themselves anyway; returns whether it worked."""
    try:
        call()
    except DATABASE_ERRORS as error:
        log.warning("could not be stored: %s", first_line(error))
        return False
    return True
