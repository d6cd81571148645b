"""One worker process per device of this machine: started, watched, restarted, stopped.

The supervisor spawns workers and never imports them; it reads their progress from the study, as any other
process does. `supervise` is a generator of Snapshots, for its consumer to show.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.errors import SearchError, UserError
from search.records import Snapshot
from search.runtime.devices import BROKEN_DEVICE, NO_DEVICE, Device
from search.runtime.signals import Interrupt, pass_on
from search.study.folder import claim_folder
from search.study.read import read_snapshot, unanswered
from search.study.resolve import environment_for
from search.study.study import Study
from search.worker.retry import LeaveTrial, retry_until_answered
from storage.errors import DATABASE_ERRORS

POLL_SECONDS = 0.5
SNAPSHOT_SECONDS = 1.0
GRACE_SECONDS = 30.0  # how long a worker may take to leave before it is killed
BACKOFF_SECONDS = (1.0, 60.0)  # before a crashed worker is started again: first, longest
# Of one worker in a row, each within STEADY_SECONDS of its start. One more than the deaths after which a
# trial that kills its workers is failed, so that such a trial does not end the search.
MAX_CRASHES = 6
STEADY_SECONDS = 60.0
ENDED = (0, NO_DEVICE, BROKEN_DEVICE)  # not started again


@dataclass(frozen=True)
class LocalWorkers:
    """The workers of this machine: a device for each, and the folders and the store that they share."""

    devices: Sequence[Device]
    runs: Path
    data: Path | None
    artifacts: str | None


@dataclass
class WorkerProcess:
    """One worker process and how often it crashed."""

    device: Device
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    crashes: int = 0
    restart_at: float | None = None

    def close_stdin(self) -> None:
        """Closes our end of the pipe, once the process has ended."""
        if self.process.stdin is not None:
            self.process.stdin.close()


class Supervisor:
    """The workers of this machine for one study.

    Attributes:
        failure: why the search cannot go on.
        turned_away: a sentence of each worker that found no free device, once all have left.
        broken: of each worker whose device does not work.
    """

    def __init__(self, study: Study, workers: LocalWorkers) -> None:
        self._study = study
        self._workers = workers
        self._logs = claim_folder(study, workers.runs) / "workers"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._children: list[WorkerProcess] = []
        self._last: Snapshot | None = None
        self.failure: SearchError | None = None
        self.turned_away: list[str] = []
        self.broken: list[str] = []

    def supervise(self, interrupt: Interrupt) -> Iterator[Snapshot]:
        """Runs the workers until all have left; yields the study about once a second, and as they left it.

        Raises:
            SearchError: a worker reports wrong input, or crashes again and again.
        """
        try:
            self._children = [
                self._start(index, device) for index, device in enumerate(self._workers.devices)
            ]
            shown = -SNAPSHOT_SECONDS
            while self._watch(interrupt):
                if time.monotonic() - shown >= SNAPSHOT_SECONDS:
                    shown = time.monotonic()
                    yield from self._snapshot()
                interrupt.wait(POLL_SECONDS)
        finally:
            self._end_all(interrupt.signal or signal.SIGTERM)
        if self.failure is not None:
            raise self.failure
        self.turned_away, self.broken = (
            [last_line(child.log) for child in self._children if child.process.poll() == code]
            for code in (NO_DEVICE, BROKEN_DEVICE)
        )
        with suppress(LeaveTrial):  # a signal while the database is away
            yield retry_until_answered(partial(read_snapshot, self._study), interrupt)

    def _start(self, index: int, device: Device) -> WorkerProcess:
        name = device.label if device.share == 1 else f"{device.label} {index}"
        log = self._logs / f"{name.replace(' ', '-').lower()}.log"
        command = [sys.executable, "-P", "-m", "search", "worker", "--study", self._study.name]
        command += ["--runs", str(self._workers.runs), "--gpus", "auto", "--device", device.name]
        command += ["--label", device.label, "--share", str(device.share), "--tied"]
        if self._workers.data is not None:
            command += ["--data", str(self._workers.data)]
        if self._workers.artifacts is not None:
            command += ["--artifacts", self._workers.artifacts]
        environment = {**environment_for(self._study.url), **device.environment}
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # closes with this process; see leave_with_parent
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
        return WorkerProcess(device, process, log, time.monotonic())

    def _watch(self, interrupt: Interrupt) -> bool:
        """Checks each worker and restarts crashed ones; False once there is none to wait for."""
        if interrupt or self.failure is not None:
            return False
        for index, child in enumerate(self._children):
            code = child.process.poll()
            if code is None or code in ENDED:
                continue
            if child.restart_at is None:
                self._note_crash(child, code)
            elif time.monotonic() >= child.restart_at:
                child.close_stdin()
                again = self._start(index, child.device)
                again.crashes = child.crashes
                self._children[index] = again
        return any(child.process.poll() not in ENDED for child in self._children)

    def _note_crash(self, child: WorkerProcess, code: int) -> None:
        message = last_line(child.log)
        # Only the first time is it the user's mistake: to a restarted worker an absent database looks like
        # a wrong URL.
        if code == 2 and not child.crashes:
            self.failure = UserError(message)
            return
        steady = time.monotonic() - child.started > STEADY_SECONDS
        child.crashes = 1 if steady else child.crashes + 1
        if child.crashes >= MAX_CRASHES:
            text = f"the worker on {child.device.label} crashed {child.crashes} times in a row: {message}"
            self.failure = SearchError(f"{text}; see {child.log}")
            return
        first, longest = BACKOFF_SECONDS
        child.restart_at = time.monotonic() + min(first * 2 ** (child.crashes - 1), longest)

    def _snapshot(self) -> Iterator[Snapshot]:
        try:
            self._last = read_snapshot(self._study)
        except DATABASE_ERRORS as error:
            if self._last is not None:
                yield unanswered(self._last, error)
            return
        yield self._last

    def _end_all(self, number: int) -> None:
        """Passes a signal on to every worker, then makes sure."""
        running = [child.process for child in self._children if child.process.poll() is None]
        for process in running:
            if process.stdin is not None:
                pass_on(number, process.stdin.fileno())
        deadline = time.monotonic() + GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self._children:
            child.close_stdin()


def last_line(log: Path) -> str:
    """The last line of a worker's log."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "no output"
