"""What a worker writes about a running trial: its results, a verdict, that it gives the trial back."""

import logging
from functools import partial

from search.pruners.pruner import Decision
from search.scoring import Direction, epoch_of_best
from search.worker.checkpoint_sync import CheckpointSync
from search.worker.heartbeat import Heartbeat
from search.worker.outcome import OwnedTrial, verdict
from search.worker.retry import LeaveTrial, try_once
from storage.errors import DATABASE_ERRORS
from storage.leases import Leases

log = logging.getLogger(__name__)


def report(
    leases: Leases, heartbeat: Heartbeat, sync: CheckpointSync, trial: OwnedTrial, direction: Direction
) -> None:
    """Stores what is waiting and publishes the checkpoint; keeps both while the database is away."""
    result = trial.waiting[-1]
    heartbeat.epoch(result, trial.scores[epoch_of_best(trial.scores, direction)])
    log.info("epoch %d of %d: %.4f", result.epoch, result.epochs, result.score)
    if heartbeat.reachable and store_waiting(leases, heartbeat, trial):
        trial.workspace.publish(result.epoch, trial.scores)
        sync.upload_if_affordable(trial.lease, trial.workspace)
    else:
        trial.workspace.note_unreported(trial.waiting)


def store_waiting(leases: Leases, heartbeat: Heartbeat, trial: OwnedTrial) -> bool:
    """Stores the results that wait, in order; False as soon as the database is away.

    Raises:
        LeaveTrial: the lease is another worker's.
    """
    while trial.waiting:
        first = trial.waiting[0]
        try:
            stored = leases.report(trial.lease, first.epoch, first.epochs, first.score)
        except DATABASE_ERRORS as error:
            heartbeat.away(error)
            return False
        if not stored:
            raise LeaveTrial
        trial.waiting.pop(0)
    return True


def note_control(leases: Leases, heartbeat: Heartbeat, trial: OwnedTrial, decision: Decision) -> None:
    """Notes the verdict on a trial of the control group; without a database the trial's end does it."""
    trial.control = decision
    log.info(decision.text)
    if heartbeat.reachable:
        try_once(partial(leases.add_attributes, trial.lease, verdict(decision)))


def give_back(
    leases: Leases, heartbeat: Heartbeat, sync: CheckpointSync, trial: OwnedTrial, *, stopping: bool
) -> None:
    """Lets another worker continue at once; if results could not be stored, once this process is gone."""
    lease, workspace = trial.lease, trial.workspace
    unpublished = trial.waiting[-1].epoch if trial.waiting else None
    try:
        stored = store_waiting(leases, heartbeat, trial)
        if stored and unpublished is not None:
            workspace.publish(unpublished, trial.scores)
    except LeaveTrial:
        stored = True  # by the worker that continues the trial already
    if stored:
        sync.upload_and_wait(lease, workspace, partial(leases.renew, lease))
    heartbeat.drop("stopping" if stopping else "waiting")
    if stored and try_once(partial(leases.release, lease)):
        workspace.leave()
        log.info("trial %d was given back", lease.number)
