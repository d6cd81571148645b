"""`search worker`: from a URL and a name to a worker that trains."""

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path

from search.errors import NoDevice
from search.runtime.devices import NO_DEVICE, find_devices
from search.runtime.signals import Interrupt, leave_with_parent
from search.study.resolve import wait_for_study
from search.worker.worker import Worker
from search.worker.workspace import check_folder

RESTART_SECONDS = 30.0  # how long an absent database is waited for: what a restart takes


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """What the command line asked for.

    Attributes:
        gpus, device: as in `search.runtime.devices.find_devices`.
        wait: seconds that database or study may be missing; by default a study must be there.
        label, share, tied: set by the supervisor that started this process, which has chosen the place.
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
        if self.tied:  # whoever started this process has reached the database: it will come back
            return math.inf
        return RESTART_SECONDS if self.wait is None else self.wait


def work(wanted: WorkerOptions, interrupt: Interrupt) -> int:
    """Joins the study and works for it; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    with interrupt.at_once():
        if wanted.tied:
            leave_with_parent(interrupt)
        check_folder(wanted.runs)
        here = find_devices(wanted.gpus, None, wanted.device)
        if wanted.tied:  # this process is confined already
            label = wanted.label or here[0].label
            here = [replace(here[0], label=label, share=wanted.share, environment={})]
        study = wait_for_study(wanted.url, wanted.study, wanted.wait or 0.0, wanted.database_wait)
    try:
        return Worker(study, wanted.runs, wanted.data, here, wanted.artifacts).run(interrupt)
    except NoDevice as error:
        if not wanted.tied:
            raise
        logging.getLogger(__name__).info("%s", error)
        return NO_DEVICE
