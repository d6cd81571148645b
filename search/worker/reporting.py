"""What a worker writes about a running trial: its results, a verdict, that it gives the trial back."""

import logging
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Reporter:
    """Writes about the trials of one worker, into the database and the artifact store."""

    leases: Leases
    heartbeat: Heartbeat
    sync: CheckpointSync

    def report(self, trial: OwnedTrial, direction: Direction) -> None:
        """Stores what is waiting and publishes the checkpoint; keeps both while the database is away."""
        result = trial.waiting[-1]
        self.heartbeat.epoch(result, trial.scores[epoch_of_best(trial.scores, direction)])
        log.info("epoch %d of %d: %.4f", result.epoch, result.epochs, result.score)
        if self.heartbeat.reachable and self._store_waiting(trial):
            trial.workspace.publish(result.epoch, trial.scores)
            self.sync.upload_if_affordable(trial.lease, trial.workspace)
        else:
            trial.workspace.note_unreported(trial.waiting)

    def note_control(self, trial: OwnedTrial, decision: Decision) -> None:
        """Notes the verdict on a trial of the control group; without a database the trial's end does it."""
        trial.control = decision
        log.info(decision.text)
        if self.heartbeat.reachable:
            try_once(partial(self.leases.add_attributes, trial.lease, verdict(decision)))

    def give_back(self, trial: OwnedTrial, *, stopping: bool) -> None:
        """Lets another worker continue at once; where results are not stored, once this process is gone."""
        lease, workspace = trial.lease, trial.workspace
        unpublished = trial.waiting[-1].epoch if trial.waiting else None
        try:
            stored = self._store_waiting(trial)
            if stored and unpublished is not None:
                workspace.publish(unpublished, trial.scores)
        except LeaveTrial:
            stored = True  # by the worker that continues the trial already
        if stored:
            self.sync.upload_and_wait(lease, workspace, partial(self.leases.renew, lease))
        self.heartbeat.drop("stopping" if stopping else "waiting")
        if stored and try_once(partial(self.leases.release, lease)):
            workspace.leave()
            log.info("trial %d was given back", lease.number)

    def _store_waiting(self, trial: OwnedTrial) -> bool:
        """Stores the results that wait, in order; False as soon as the database is away.

        Raises:
            LeaveTrial: the lease is another worker's.
        """
        while trial.waiting:
            first = trial.waiting[0]
            try:
                stored = self.leases.report(trial.lease, first.epoch, first.epochs, first.score)
            except DATABASE_ERRORS as error:
                self.heartbeat.away(error)
                return False
            if not stored:
                raise LeaveTrial
            trial.waiting.pop(0)
        return True
