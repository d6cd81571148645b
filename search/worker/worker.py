"""THE PATH OF A TRIAL: claim, ask, configure, train, report or prune, checkpoint, tell.

`Worker.run` is the loop over trials, `Worker.train` one trial from top to bottom. What needs a lease
is done through `storage.leases`, which tests it in the transaction that writes.

The database may go away at any time. Training goes on, and results wait in `TrialProgress.waiting` until
it is back. A process that is asked to leave meanwhile leaves: the trial's next owner reports what was
waiting if it can read this one's folder, and otherwise trains those epochs again.
"""

import logging
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from search.errors import NoDevice, StudyError
from search.loading import configure, describe, load_objective
from search.objective import EpochResult, Run
from search.pruners.pruner import Decision, Pruner
from search.pruners.registry import build_pruner
from search.retraining.answer_page import publish_answer
from search.retraining.study import advance
from search.runtime.devices import Device
from search.runtime.signals import Interrupt, Interrupted
from search.samplers.ask import ask
from search.scoring import epoch_of_best, sign_of
from search.study.fingerprint import check_data
from search.study.study import Study
from search.worker.checkpoint_sync import CheckpointSync
from search.worker.device_lease import acquire_device
from search.worker.heartbeat import Heartbeat
from search.worker.outcome import (
    TrialEnd,
    TrialProgress,
    check_applied,
    complete,
    end_for_error,
    outcome,
    too_many_deaths,
    verdict,
)
from search.worker.retry import Answer, LeaveTrial, retry_until_answered, try_once
from search.worker.trial_page import build_page
from search.worker.watchdog import Watchdog, dump
from search.worker.workspace import KEPT, Workspace, drop_checkpoints
from storage import reads, studies
from storage.claims import Lease
from storage.errors import DATABASE_ERRORS
from storage.hangs import is_first_hang
from storage.leases import Leases
from storage.processes import Process

log = logging.getLogger(__name__)

MAX_BUGS = 3  # failed trials in a row, over all workers, that stop the study
WAIT_SECONDS = 1.0  # between two looks for a trial to take over


class Worker:
    """One process with one device, training one trial after another.

    Attributes:
        devices: where it may run. device: the first one of them whose device is free.
    """

    def __init__(
        self,
        study: Study,
        runs: Path,
        data: Path | None,
        devices: Sequence[Device],
        artifacts: str | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.study = study
        self.folder = runs / study.name
        self.data = data
        self.devices = devices
        self.device = devices[0]
        self.leases = Leases(study.engine, study.id, self.id, Process.current())
        self.heartbeat = Heartbeat(self.leases)
        self.sync = CheckpointSync(study, runs, artifacts)

    @cached_property
    def objective(self) -> Any:
        return load_objective(self.study.spec.objective)

    @cached_property
    def pruner(self) -> Pruner:
        pruner = build_pruner(self.study.spec)
        pruner.open(self.study)
        return pruner

    def run(self, interrupt: Interrupt) -> int:
        """Trains until the budget is used up or somebody wants it to stop; returns the exit code.

        Raises:
            NoDevice: its device is another worker's, at the start or after a time in which it was silent.
            UserError: objective or data are not the study's.
            StudyError: the study was deleted from the database.
        """
        self.interrupt = interrupt
        try:
            with self.heartbeat:
                with interrupt.at_once():  # nothing is held yet that could be lost
                    self.device = acquire_device(self.leases, self.devices, interrupt, self.heartbeat)
                    self._prepare()
                while not self._asked_to_go():
                    lease = self._insist(self.leases.claim)
                    if lease == "spent" and self.study.plan:
                        goes_on = self._insist(partial(advance, self.study))
                        try_once(partial(publish_answer, self.study))
                        if goes_on:
                            continue
                    if lease == "deleted":
                        self.heartbeat.study_deleted = True
                    if lease == "spent" or lease == "stopped" or lease == "deleted":
                        break
                    if lease == "wait":
                        interrupt.wait(WAIT_SECONDS)
                        continue
                    self.train(lease)
        except (LeaveTrial, Interrupted):
            pass
        finally:
            try_once(self.leases.leave)
        if not interrupt:
            self.sync.close()
        if self.heartbeat.study_deleted:
            raise StudyError(f"--study: {self.study.name!r} was deleted from the database")
        if self.heartbeat.displaced:
            raise NoDevice(f"{self.device.label} was given to another worker while this one was silent")
        return interrupt.code if interrupt else 0

    def _prepare(self) -> None:
        """Loads what trains; raises UserError where this machine has other data than the study."""
        self.device.confine()
        example = next(self.study.spec.space.corners())
        check_data(self.study, describe(self.objective, configure(self.objective, example), self.data))
        self._insist(lambda: (self.pruner, self.sync.token))  # made with the database, needed without it

    def train(self, lease: Lease) -> None:
        """One trial, from its claim to its end."""
        self.heartbeat.hold(lease)
        workspace = Workspace(self.folder, lease.number, self.id, self.sync.token.hex)
        progress = TrialProgress()
        for result in workspace.open(lease.left_by):
            progress.add(result)
        try:
            with trial_log(workspace.published / "log.txt"):
                where = f"{self.device.label} of {self.leases.process.host}"
                log.info("trial %d, attempt %d, on %s", lease.number, lease.attempt, where)
                planned = self._insist(partial(self.study.planned, lease.slot))
                progress.seed = planned.seed if planned else self.study.spec.study.sampler.seed
                if planned:
                    progress.retrains = planned.said
                    log.info("%s", planned.said)
                for result in progress.waiting:
                    log.info("epoch %d was trained and not reported", result.epoch)
                self.sync.restore(lease, workspace, self._should_stop)
                end = too_many_deaths(lease) or self._epochs(lease, workspace, progress)
                self._tell(lease, workspace, progress, end)
        except LeaveTrial:
            self._give_back(lease, workspace, progress)
            return
        workspace.close()
        self.sync.drop_checkpoints(lease)
        try_once(self._tidy)

    def _epochs(self, lease: Lease, workspace: Workspace, progress: TrialProgress) -> TrialEnd:
        """Trains the trial's epochs as they come; returns how it ended."""
        watchdog = Watchdog(lambda text: self._end_hung(lease, workspace, progress, text))
        try:
            task = self._insist(lambda: ask(self.study, self.leases, lease, self.pruner.for_sampler))
            if task is None:
                raise LeaveTrial
            params, progress.seed = task.params, task.seed
            run = Run(
                dir=workspace.work,
                device=self.device.name,
                seed=task.seed,
                should_stop=watchdog.polled(self._should_stop),
                data=self.data,
                smooth=self.study.spec.study.smooth,
            )
            if lease.epochs:
                progress.scores |= self._insist(lambda: self._reported(lease))
            log.info("params: %s", ", ".join(f"{name} {value}" for name, value in params.items()))
            config = configure(self.objective, params)
            with closing(watchdog.over(self.objective.train(config, run))) as results:
                for result in results:
                    if not result.finite:
                        return TrialEnd(
                            "PRUNED", "diverged", f"the score became {result.score}", result.epoch
                        )
                    check_applied(params, result.applied)
                    progress.add(result)
                    self._report(lease, workspace, progress)
                    decision = self.pruner.decide(lease, params, result, self.heartbeat.reachable)
                    if decision.control and progress.control is None:
                        self._note(lease, progress, decision)
                    if decision.prune:
                        return TrialEnd("PRUNED", "pruned", decision.text, result.epoch)
            if self._should_stop():
                raise LeaveTrial
        except (LeaveTrial, KeyboardInterrupt):
            raise
        except BaseException as error:
            return end_for_error(error, progress)
        return complete(progress)

    def _report(self, lease: Lease, workspace: Workspace, progress: TrialProgress) -> None:
        """Stores what is waiting and publishes the checkpoint; keeps both while it cannot."""
        result = progress.waiting[-1]
        best = epoch_of_best(progress.scores, self.study.spec.study.direction)
        self.heartbeat.epoch(result, progress.scores[best])
        log.info("epoch %d of %d: %.4f", result.epoch, result.epochs, result.score)
        if not (self.heartbeat.reachable and self._store(lease, progress.waiting)):
            workspace.note_unreported(progress.waiting)
            return
        workspace.publish(result.epoch)
        self.sync.upload_if_affordable(lease, workspace)

    def _store(self, lease: Lease, waiting: list[EpochResult]) -> bool:
        """Stores what is waiting, in order; False, and the rest waits on, while the database is away."""
        while waiting:
            first = waiting[0]
            try:
                stored = self.leases.report(lease, first.epoch, first.epochs, first.score)
            except DATABASE_ERRORS as error:
                self.heartbeat.away(error)
                return False
            if not stored:
                raise LeaveTrial
            waiting.pop(0)
        return True

    def _note(self, lease: Lease, progress: TrialProgress, decision: Decision) -> None:
        """A control has its verdict; where it cannot be stored now, the trial's end does that."""
        progress.control = decision
        log.info(decision.text)
        if self.heartbeat.reachable:
            try_once(partial(self.leases.add_attributes, lease, verdict(decision)))

    def _tell(self, lease: Lease, workspace: Workspace, progress: TrialProgress, end: TrialEnd) -> None:
        """Ends the trial in the database, after everything that still waits."""
        for result in progress.waiting:
            report = partial(self.leases.report, lease, result.epoch, result.epochs, result.score)
            if not self._insist(report):
                raise LeaveTrial
        # Where nothing waited nothing was confirmed: who slept through a lease finds that out here.
        if not self._insist(partial(self.leases.renew, lease)):
            raise LeaveTrial
        workspace.publish(progress.epoch or workspace.epoch)
        value, attributes = outcome(self.study.spec, lease, progress, end)
        told = {"worker": self.id, **attributes}
        shown = build_page(self.sync, lease, workspace, progress, end, attributes, self._should_stop)
        self.heartbeat.drop()
        if not self._insist(lambda: self.leases.finish(lease, end.state, value, told, shown)):
            raise LeaveTrial
        log.info("%s%s", end.state.lower(), f": {end.text.splitlines()[-1]}" if end.text else "")
        study = self.study.engine, self.study.id
        if end.code == "bug" and self._insist(partial(studies.bugs_in_a_row, *study)) >= MAX_BUGS:
            self._insist(partial(studies.set_stop, *study, "bugs"))

    def _reported(self, lease: Lease) -> dict[int, float]:
        """The scores that earlier owners of the trial have reported."""
        found = reads.curves(self.study.engine, [lease.trial_id])[lease.trial_id]
        return {epoch: score for epoch, score in found.items() if score is not None}

    def _tidy(self) -> None:
        """Frees the disk of checkpoints that nobody will ask for: neither good, nor known, nor running."""
        rows = reads.trial_rows(self.study.engine, self.study.id)
        sign = sign_of(self.study.spec.study.direction)
        ended = [row for row in rows if row.state == "COMPLETE" and row.value is not None]
        best = sorted(ended, key=lambda row: sign * (row.value or 0.0), reverse=True)[:KEPT]
        kept = {row.number for row in best}
        kept |= {
            row.number for row in rows if row.state == "RUNNING" or row.slot < len(self.study.spec.known)
        }
        drop_checkpoints(self.folder, kept)
        self.sync.drop_weights(kept)

    def _give_back(self, lease: Lease, workspace: Workspace, progress: TrialProgress) -> None:
        """Lets somebody else go on at once, or after this process where something waits to be reported."""
        unpublished = progress.waiting[-1].epoch if progress.waiting else None
        try:
            reported = self._store(lease, progress.waiting)
            if reported and unpublished is not None:
                workspace.publish(unpublished)
        except LeaveTrial:
            reported = True  # by whoever goes on with the trial already
        if reported:
            self.sync.upload_and_wait(lease, workspace, partial(self.leases.renew, lease))
        self.heartbeat.drop("stopping" if self._asked_to_go() else "waiting")
        if reported and try_once(lambda: self.leases.release(lease)):
            workspace.leave()
            log.info("trial %d was given back", lease.number)

    def _end_hung(self, lease: Lease, workspace: Workspace, progress: TrialProgress, text: str) -> None:
        """Ends this process, since nothing ends one of its threads; the trial gets one more attempt."""
        log.error("trial %d %s", lease.number, text)
        dump(workspace.published / "log.txt")
        try:
            if not self._insist(partial(self.leases.renew, lease)):
                log.info("trial %d is somebody else's by now", lease.number)
            elif self._insist(partial(is_first_hang, self.leases, lease, text)):
                self._give_back(lease, workspace, progress)
            else:
                again = f"{text}; a second time, so it ends. What its threads did is in log.txt"
                self._tell(lease, workspace, progress, TrialEnd("FAIL", "bug", again, progress.epoch))
            try_once(self.leases.leave)
        except LeaveTrial:
            log.info("the lease of trial %d will end", lease.number)
        except Exception:
            log.exception("the end of trial %d could not be told", lease.number)
        finally:
            os._exit(1)

    # -- wishes ----------------------------------------------------------------------------------

    def _asked_to_go(self) -> bool:
        beat = self.heartbeat
        return bool(self.interrupt) or beat.stop == "now" or beat.displaced or beat.study_deleted

    def _should_stop(self) -> bool:
        return self._asked_to_go() or self.heartbeat.lost

    def _insist(self, call: Callable[[], Answer]) -> Answer:
        return retry_until_answered(call, self.interrupt, self.heartbeat)


# -- the process ---------------------------------------------------------------------------------


@contextmanager
def trial_log(path: Path) -> Iterator[None]:
    """Sends what is logged in this block to the trial's log.txt as well."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    except LeaveTrial:
        raise
    except Exception:
        log.exception("the worker ends")
        raise
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
