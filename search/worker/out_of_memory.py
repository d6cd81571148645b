"""A trial that runs out of memory is tried once more: a neighbour on its device may have had the memory."""

import logging
from collections.abc import Callable

from search.runtime.kernel import free_memory
from search.worker.outcome import OwnedTrial, TrialEnd
from search.worker.retry import LeaveTrial

log = logging.getLogger(__name__)

WAIT_SECONDS = 10.0  # for the neighbour to end what it does


def once_more(
    train: Callable[[OwnedTrial], TrialEnd], trial: OwnedTrial, leaves_within: Callable[[float], bool]
) -> TrialEnd:
    """The end of the trial by `train`, which is called again after each epoch that was not reached before.

    Raises:
        LeaveTrial: `leaves_within` says that the worker was asked to leave while it waited.
    """
    furthest = -1
    while (end := train(trial)).code == "oom":
        free_memory()
        if (epoch := trial.epoch or 0) <= furthest:
            break
        furthest = epoch
        log.warning("%s; tries once more in %.0f s", end.text, WAIT_SECONDS)
        if leaves_within(WAIT_SECONDS):
            raise LeaveTrial
    return end
