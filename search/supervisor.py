"""One worker process per device of this machine: started, watched, restarted, stopped.

The supervisor spawns workers and never imports them; what it knows of their work it reads from the
study, like everybody else. `supervise` is a generator of Snapshots: who consumes it shows them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search.errors import SearchError, UserError
from search.reading import read_snapshot
from search.records import Snapshot
from search.signals import Interrupt
from search.study import Study
from search.threads import thread_variables
from storage.engine import DATABASE_ERRORS

POLL_SECONDS = 0.5
SNAPSHOT_SECONDS = 1.0
GRACE_SECONDS = 30.0  # how long a worker may take to leave before it is killed
BACKOFF_SECONDS = (1.0, 60.0)  # before a crashed worker is started again: first, longest
# Of one worker in a row, each within STEADY_SECONDS of its start. One more than the deaths after which a
# trial that kills its workers is given up: it must not take the search with it.
MAX_CRASHES = 6
STEADY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where one worker runs.

    Attributes:
        device: as the objective calls it (`cpu`, `cuda:0`). label: as a person does (`GPU 1`).
        environment: variables that confine the process to it.
    """

    device: str
    label: str
    environment: Mapping[str, str] = field(default_factory=dict)


def places(gpus: str, workers: int | None, device: str | None) -> list[Place]:
    """One place per visible GPU, or CPU workers that divide the cores among them.

    Args:
        gpus: `auto`, `none`, or indices: `0,1`.
        workers: how many; by default one per GPU, or one on the CPU. More than GPUs share them in turn.
        device: `cpu` or another torch device that is used as it is (`mps`).
    """
    visible = [] if gpus == "none" or device is not None else visible_gpus()
    if gpus not in ("auto", "none"):
        chosen = [index.strip() for index in gpus.split(",")]
        unknown = [index for index in chosen if index not in visible]
        if unknown:
            there = ", ".join(visible) or "none"
            raise UserError(f"--gpus: {', '.join(unknown)} not on this machine (there are: {there})")
        visible = chosen
    if visible:
        count = workers or len(visible)
        used = [visible[index % len(visible)] for index in range(count)]
        return [Place("cuda:0", f"GPU {gpu}", {"CUDA_VISIBLE_DEVICES": gpu}) for gpu in used]
    count = workers or 1
    environment = thread_variables(count)
    name = device or "cpu"
    return [Place(name, name if count == 1 else f"{name} {index}", environment) for index in range(count)]


def visible_gpus() -> list[str]:
    """Indices of the GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [index.strip() for index in allowed.split(",") if index.strip() not in ("", "-1")]
    try:
        query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        listed = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()


@dataclass
class Child:
    """One worker process and how often it crashed."""

    place: Place
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    crashes: int = 0
    restart_at: float | None = None


class Supervisor:
    """The workers of this machine for one study."""

    def __init__(
        self, study: Study, wanted: Sequence[Place], runs: Path, data: Path | None, artifacts: str | None
    ) -> None:
        self._study = study
        self._runs = runs
        self._data = data
        self._artifacts = artifacts
        self._logs = runs / study.name / "workers"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._children: list[Child] = []
        self._wanted = list(wanted)
        self.failure: SearchError | None = None

    def supervise(self, interrupt: Interrupt) -> Iterator[Snapshot]:
        """Runs the workers until all have left; yields the study about once a second.

        Raises:
            SearchError: a worker says that the input is wrong, or crashes again and again.
        """
        try:
            self._children = [self._start(index, place) for index, place in enumerate(self._wanted)]
            shown = -SNAPSHOT_SECONDS
            while self._watch(interrupt):
                if time.monotonic() - shown >= SNAPSHOT_SECONDS:
                    shown = time.monotonic()
                    yield from self._snapshot()
                interrupt.wait(POLL_SECONDS)
        finally:
            self._end_all()
        if self.failure is not None:
            raise self.failure
        yield from self._snapshot()

    def _start(self, index: int, place: Place) -> Child:
        log = self._logs / f"{place.label.replace(' ', '-').lower()}.log"
        command = [sys.executable, "-P", "-m", "search.worker", "--study", self._study.name]
        command += ["--runs", str(self._runs), "--device", place.device, "--label", place.label, "--tied"]
        if self._data is not None:
            command += ["--data", str(self._data)]
        if self._artifacts is not None:
            command += ["--artifacts", self._artifacts]
        # The storage URL may hold a password: it goes by the environment, not by argv.
        environment = {**os.environ, **place.environment, "SEARCH_STORAGE": self._study.url}
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # closes with this process: the worker's sign to leave
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
        return Child(place, process, log, time.monotonic())

    def _watch(self, interrupt: Interrupt) -> bool:
        """Looks after each worker; False once none is left to wait for."""
        if interrupt or self.failure is not None:
            return False
        for index, child in enumerate(self._children):
            code = child.process.poll()
            if code is None or code == 0:
                continue
            if child.restart_at is None:
                self._note_crash(child, code)
            elif time.monotonic() >= child.restart_at:
                again = self._start(index, child.place)
                again.crashes = child.crashes
                self._children[index] = again
        return any(child.process.poll() != 0 for child in self._children)

    def _note_crash(self, child: Child, code: int) -> None:
        said = last_line(child.log)
        # Later it is no user's mistake: a database that is away looks like a wrong URL to who starts.
        if code == 2 and not child.crashes:
            self.failure = UserError(said)
            return
        steady = time.monotonic() - child.started > STEADY_SECONDS
        child.crashes = 1 if steady else child.crashes + 1
        if child.crashes >= MAX_CRASHES:
            text = f"the worker on {child.place.label} crashed {child.crashes} times in a row: {said}"
            self.failure = SearchError(f"{text}; see {child.log}")
            return
        first, longest = BACKOFF_SECONDS
        child.restart_at = time.monotonic() + min(first * 2 ** (child.crashes - 1), longest)

    def _snapshot(self) -> Iterator[Snapshot]:
        try:
            yield read_snapshot(self._study)
        except DATABASE_ERRORS:
            return  # nothing new to show while the database is away

    def _end_all(self) -> None:
        """Asks every worker to leave, then makes sure."""
        running = [child.process for child in self._children if child.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def last_line(log: Path) -> str:
    """What a worker said last, where it said anything."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "no output"
