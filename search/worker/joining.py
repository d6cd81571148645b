"""`search worker`: opens the study, finds this machine's devices and runs a worker."""

import logging
import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy.exc import OperationalError

from search.errors import BrokenDevice, NoDevice
from search.runtime.devices import BROKEN_DEVICE, NO_DEVICE, find_devices
from search.runtime.signals import Interrupt, leave_with_parent
from search.runtime.threads import threads_each
from search.study.folder import claim_folder
from search.study.resolve import wait_for_study
from search.study.study import Study
from search.worker.retry import LeaveTrial, retry_until_answered
from search.worker.watchdog import hang_seconds
from search.worker.worker import Worker
from search.worker.workspace import check_folder
from storage.errors import may_recover
from storage.url import sqlite_file

RESTART_SECONDS = 30.0  # to wait for an absent database: what its restart takes


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """The options of `search worker`.

    Attributes:
        gpus, device: as in `search.runtime.devices.find_devices`.
        wait: seconds that database or study may be missing; by default a study must be there.
        label, share, tied: set by the supervisor that started this process and has chosen its device.
    """

    url: str
    study: str
    runs: Path
    data: Path | None
    artifacts: str | None
    gpus: str
    device: str | None
    wait: float | None
    label: str | None = None
    share: int = 1
    tied: bool = False

    @property
    def database_wait(self) -> float:
        if self.tied:  # the supervisor has reached the database, so it will come back
            return math.inf
        return RESTART_SECONDS if self.wait is None else self.wait


def run_worker(options: WorkerOptions, interrupt: Interrupt) -> int:
    """Joins the study and works for it; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    with interrupt.at_once():
        if options.tied:
            leave_with_parent(interrupt)
        check_folder(options.runs)
        hang_seconds()  # refused here, before a trial is claimed
        threads_each()  # refuses a variable that holds no number before there is anything to do
        devices = find_devices(options.gpus, None, options.device)
        if options.tied:  # this process is confined already
            label = options.label or devices[0].label
            devices = [replace(devices[0], label=label, share=options.share, environment={})]
        study = open_and_claim(options)
    try:
        while True:
            code = Worker(study, options.runs, options.data, devices, options.artifacts).run(interrupt)
            if code or options.tied:  # a supervisor starts new processes for the next stage
                return code
            later = retry_until_answered(partial(claim_next_stage, study, options), interrupt)
            if later is None:
                return code
            study = later
    except LeaveTrial:  # the database is away
        return interrupt.code
    except (NoDevice, BrokenDevice) as error:
        if not options.tied:
            raise
        logging.getLogger(__name__).info("%s", error)
        return NO_DEVICE if isinstance(error, NoDevice) else BROKEN_DEVICE


def open_and_claim(options: WorkerOptions) -> Study:
    """The study, with its folder claimed; a database that goes away in between is waited for again."""
    while True:
        study = wait_for_study(options.url, options.study, options.wait or 0.0, options.database_wait)
        try:
            claim_folder(study, options.runs)
            return study
        except OperationalError as error:
            if sqlite_file(options.url) is not None or not may_recover(error):
                raise
            study.engine.dispose()


def claim_next_stage(study: Study, options: WorkerOptions) -> Study | None:
    """The next stage of a search, with its folder claimed; None where there is none yet, or no more."""
    if study.plan is None and not study.spec.study.stages:
        return None
    from search.retraining.stages import next_stage  # most studies do not need it

    later = next_stage(study, options.data)
    if later is not None:
        claim_folder(later, options.runs)
    return later
