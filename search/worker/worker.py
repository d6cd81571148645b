"""THE PATH OF A TRIAL: claim, ask, configure, train, report or prune, checkpoint, tell.

`Worker.run` is the loop over trials, `Worker.train` one trial from top to bottom. What needs a lease
is done through `storage.leases`, which checks it in the transaction that writes.

The database may go away at any time. Training continues, and results wait in `OwnedTrial.waiting`. A
process that is asked to leave meanwhile leaves: the next owner reports what waited, or trains those epochs
again.
"""

import logging
import os
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from search.errors import DeviceLost, NoDevice, StudyError, first_line
from search.loading import check_each, configure, constraints_of, describe, load_objective, train
from search.objective import Params, Run
from search.pruners.pruner import Pruner
from search.pruners.registry import build_pruner
from search.runtime.collector import paused_collector
from search.runtime.devices import Device
from search.runtime.kernel import kernel_error
from search.runtime.signals import Interrupt, Interrupted
from search.samplers.ask import ask
from search.study.fingerprint import check_data
from search.study.study import Study
from search.worker import outcome
from search.worker.checkpoint_sync import CheckpointSync
from search.worker.cleanup import free_disk
from search.worker.device_lease import acquire_device
from search.worker.faults import broken
from search.worker.heartbeat import Heartbeat
from search.worker.out_of_memory import once_more
from search.worker.outcome import OwnedTrial, TrialEnd
from search.worker.reporting import Reporter
from search.worker.retry import Answer, LeaveTrial, retry_until_answered, try_once
from search.worker.trial_log import trial_log
from search.worker.trial_page import build_page
from search.worker.watchdog import Watchdog, dump
from search.worker.workspace import LOG, Workspace
from storage import reads, studies
from storage.claims import Lease
from storage.leases import Leases
from storage.processes import Process

log = logging.getLogger(__name__)

MAX_BUGS = 3  # failed trials in a row, over all workers, that stop the study
WAIT_SECONDS = 1.0  # between two looks for a trial to take over


class Worker:
    """One process with one device, training one trial after another.

    Attributes:
        devices: what it may train on. device: the first of them that was free.
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
        self.folder = runs.absolute() / study.name  # the objective may change the working folder
        self.data = data and data.absolute()
        self.devices = devices
        self.device = devices[0]
        self.leases = Leases(study.engine, study.id, self.id, Process.current())
        self.heartbeat = Heartbeat(self.leases)
        self.sync = CheckpointSync(study, runs, artifacts)
        self.reporter = Reporter(self.leases, self.heartbeat, self.sync)

    @cached_property
    def objective(self) -> Any:
        return load_objective(self.study.spec.objective)

    @cached_property
    def pruner(self) -> Pruner:
        pruner = build_pruner(self.study.spec)
        pruner.open(self.study)
        return pruner

    def run(self, interrupt: Interrupt) -> int:
        """Trains until the budget is used up or the worker is asked to leave; returns the exit code.

        Raises:
            NoDevice: its device belongs to another worker, from the start or since this one was silent.
            BrokenDevice: its device does not work. DeviceLost: not for this process any more.
            UserError: objective or data are not the study's, or the study was deleted.
        """
        self.interrupt = interrupt
        try:
            with self.heartbeat:
                with interrupt.at_once(), paused_collector():  # there is nothing to lose yet
                    self.device = acquire_device(self.leases, self.devices, interrupt, self.heartbeat)
                    self._prepare()
                while (lease := self._claim()) is not None:
                    self.train(lease)
        except (LeaveTrial, Interrupted):
            pass
        except Exception:
            if not self.heartbeat.finds_study_deleted():  # else its rows went between two statements
                raise
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
        """Loads what trains, tries the device; UserError where this machine lacks it or has other data."""
        self.device.confine()
        configs = [configure(self.objective, params) for params in self.study.spec.space.corners()]
        check_data(self.study, description := describe(self.objective, configs[0], self.data))
        check_each(self.objective, configs, description)
        self.constraints = constraints_of(self.objective, description)
        if (error := kernel_error(self.device.name)) is not None:
            raise broken(self.device, first_line(error)) from error
        self._retry(lambda: (self.pruner, self.study.token))  # read now, needed when the database is away

    def _claim(self) -> Lease | None:
        """The next trial to train; waits while others may still lose one. None when it is time to leave."""
        while not self._asked_to_leave():
            claimed = self._retry(self.leases.claim)
            if isinstance(claimed, Lease):
                return claimed
            if claimed == "wait":
                self.interrupt.wait(WAIT_SECONDS)
            elif claimed != "spent" or not self._plan_next_round():
                self.heartbeat.study_deleted |= claimed == "deleted"
                break
        return None

    def _plan_next_round(self) -> bool:
        """Whether a study that retrains has more to train, now that all that was planned has begun."""
        if self._retry(lambda: self.study.plan) is None:
            return False
        from search.retraining import answer_page, study  # most studies need neither

        has_more = self._retry(partial(study.advance, self.study))
        try_once(partial(answer_page.publish_answer, self.study, self.folder.parent))
        return has_more

    def train(self, lease: Lease) -> None:
        """One trial, from its claim to its end."""
        self.heartbeat.hold(lease)
        trial = OwnedTrial(lease, Workspace(self.folder, lease.number, self.id, self.study.token.hex))
        try:
            for result in trial.workspace.open(lease.left_by, begun=lease.attempt > 1):
                trial.add(result)
            with trial_log(trial.workspace.published):
                self._take_over(trial)
                end = outcome.too_many_deaths(lease) or once_more(self._epochs, trial, self._leaves_within)
                self._tell(trial, end)
        except LeaveTrial:
            self.reporter.give_back(trial, stopping=self._asked_to_leave())
            return
        except Exception as error:
            if not outcome.is_given_back(error):
                raise
            self.reporter.give_back(trial, stopping=True)
            raise outcome.after_giving_back(self.folder, error) from error
        trial.workspace.close()
        self.sync.drop_checkpoints(lease)
        try_once(partial(free_disk, self.study, self.folder, self.sync))
        if end.device_lost:
            raise DeviceLost(f"trial {lease.number} has cost this process its device; start it again")

    def _take_over(self, trial: OwnedTrial) -> None:
        """Logs how far the trial is, and fetches its checkpoint where that is in the artifact store."""
        lease, where = trial.lease, f"{self.device.label} of {self.leases.process.host}"
        log.info("trial %d, attempt %d, on %s", lease.number, lease.attempt, where)
        planned = self._retry(partial(self.study.planned, lease.slot))
        trial.seed = planned.seed if planned else self.study.spec.study.seed_of(lease.slot)
        if planned:
            trial.retrains = planned.description
            log.info("%s", planned.description)
        if trial.waiting:
            log.info("up to epoch %d it was trained and not reported", trial.waiting[-1].epoch)
        self.sync.restore(lease, trial.workspace, self._should_stop)

    def _epochs(self, trial: OwnedTrial) -> TrialEnd:
        """Trains the trial's epochs as they come; returns how it ended."""
        watchdog = Watchdog(partial(self._end_hung, trial))
        try:
            params = self._ask(trial)
            run = Run(
                dir=trial.workspace.work,
                device=self.device.name,
                seed=trial.seed,
                should_stop=watchdog.polled(self._should_stop),
                data=self.data,
                smooth=self.study.spec.study.smooth,
                score=self.study.spec.study.score,
            )
            config, direction = configure(self.objective, params), self.study.spec.study.direction
            with closing(watchdog.over(train(self.objective, config, run))) as results:
                for result in results:
                    trial.note_footprint(result)
                    if not result.finite:
                        return outcome.diverged(result)
                    outcome.check_applied(params, result.applied)
                    trial.add_with_forgotten(result, self.study.spec)
                    self.reporter.report(trial, direction)
                    decision = self.pruner.decide(trial.lease, params, result, self.heartbeat.reachable)
                    if decision.control and trial.control is None:
                        self.reporter.note_control(trial, decision)
                    if decision.prune:
                        return TrialEnd("PRUNED", "pruned", decision.text, result.epoch)
            if self._should_stop():
                raise LeaveTrial
        except LeaveTrial:
            raise
        except BaseException as error:  # the objective may call sys.exit or raise KeyboardInterrupt
            return outcome.end_for_error(error, trial, self.device)
        return outcome.end_for_return(trial)

    def _ask(self, trial: OwnedTrial) -> Params:
        """The trial's parameters: sampled now, or by its first owner, whose scores are read as well."""
        lease = trial.lease
        context = self.pruner.for_sampler, self.constraints
        task = self._retry(lambda: ask(self.study, self.leases, lease, *context))
        if task is None:
            raise LeaveTrial
        trial.seed = task.seed
        if lease.epochs:
            curves = self._retry(lambda: reads.curves(self.study.engine, [lease.trial_id]))
            reported = curves[lease.trial_id].items()
            trial.scores |= {epoch: score for epoch, score in reported if score is not None}
        log.info("params: %s", ", ".join(f"{name} {value}" for name, value in task.params.items()))
        return task.params

    def _tell(self, trial: OwnedTrial, end: TrialEnd) -> None:
        """Ends the trial in the database, once everything that waits is stored."""
        lease = trial.lease
        for result in trial.waiting:
            self._confirm(partial(self.leases.report, lease, result.epoch, result.epochs, result.score))
        # Where nothing waited, nothing has confirmed the lease: a worker that was frozen notices here.
        self._confirm(partial(self.leases.renew, lease))
        trial.workspace.publish(trial.epoch or trial.workspace.epoch, trial.scores)
        value, attributes = outcome.value_and_attributes(self.study.spec, trial, end)
        page = build_page(self.sync, trial, end, attributes, self._should_stop)
        attributes = {"worker": self.id, **attributes}
        self.heartbeat.drop()
        self._confirm(lambda: self.leases.finish(lease, end.state, value, attributes, page))
        log.info("%s%s", end.state.lower(), f": {end.text.splitlines()[-1]}" if end.text else "")
        if end.code == "bug":
            self._retry(partial(studies.stop_after_bugs, self.study.engine, self.study.id, MAX_BUGS))

    def _end_hung(self, trial: OwnedTrial, text: str) -> None:
        """Ends this process, the only way to end one of its threads; the trial gets one more attempt."""
        lease = trial.lease
        log.error("trial %d %s", lease.number, text)
        dump(trial.workspace.published / LOG)
        try:
            if not self._retry(partial(self.leases.renew, lease)):
                log.info("trial %d belongs to another worker by now", lease.number)
            elif self._retry(partial(self.leases.is_first_hang, lease, text)):
                self.reporter.give_back(trial, stopping=self._asked_to_leave())
            else:
                again = f"{text}; a second time, so it ends. What its threads did is in log.txt"
                self._tell(trial, TrialEnd("FAIL", "bug", again, trial.epoch))
            try_once(self.leases.leave)
        except LeaveTrial:
            log.info("the lease of trial %d will run out", lease.number)
        except Exception:
            log.exception("the end of trial %d could not be stored", lease.number)
        finally:
            os._exit(1)

    def _asked_to_leave(self) -> bool:
        return bool(self.interrupt) or self.heartbeat.must_leave

    def _leaves_within(self, seconds: float) -> bool:
        return self.interrupt.wait(seconds) or self._should_stop()

    def _should_stop(self) -> bool:
        return self._asked_to_leave() or self.heartbeat.lost

    def _retry(self, call: Callable[[], Answer]) -> Answer:
        return retry_until_answered(call, self.interrupt, self.heartbeat)

    def _confirm(self, write: Callable[[], bool]) -> None:
        """Retries a write under the lease; raises LeaveTrial where the lease is another worker's."""
        if not self._retry(write):
            raise LeaveTrial
