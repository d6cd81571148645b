"""A worker's use of the artifact store: which checkpoints it uploads and when, and the files of a page.

With `--artifacts` a trial's checkpoint is uploaded to the store that all machines share:

- after a published epoch, unless uploads would then have taken more than SHARE of the time so far;
- always when the trial is given back, before another worker may take it over.

Without it the store is a folder of this machine for what the dashboard shows, and checkpoints stay where
they are.

A single thread does all of it beside training: a store may take minutes to answer, or never answer. An
upload mostly waits. What it costs training is its CPU time on one of training's cores, and that is what is
counted. A store that fails costs a line in the log, but no epoch and no trial.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Collection
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from search.objective import WEIGHTS
from search.runtime.threads import thread_variables
from search.study.study import Study
from search.worker.workspace import Workspace
from storage import pages
from storage.artifacts import error_name, open_store
from storage.checkpoints import GENERATIONS, Checkpoints
from storage.claims import Lease
from storage.errors import DATABASE_ERRORS
from storage.pages import Artifact

log = logging.getLogger(__name__)

DEFAULT = "artifacts"  # below --runs
SHARE = 0.01  # of training's time that uploads may take at most
PATIENCE_SECONDS = 15.0  # to wait for the store where training waits with it
FETCH_SECONDS = 300.0  # to wait for a checkpoint: without it epochs are trained again
LOOK_SECONDS = 0.02  # between two checks whether it has answered


@dataclass
class _Uploaded:
    """The present trial's checkpoint in the store: its epoch, and how many there have been."""

    epoch: int = 0
    count: int = 0


class CheckpointSync:
    """The store as one worker uses it; `shared` where other machines use it, too."""

    def __init__(self, study: Study, runs: Path, location: str | None) -> None:
        self.study = study
        self.shared = location is not None
        self.store = open_store(artifact_place(location, runs))
        self._thread = _Thread()
        self._uploaded = _Uploaded()
        self._upload: Future[None] | None = None
        self._cores = int(thread_variables(1)["OMP_NUM_THREADS"].partition(",")[0])
        self._began = time.monotonic()
        self._spent = self._last = 0.0  # CPU seconds of all uploads, and of the last one

    @cached_property
    def _checkpoints(self) -> Checkpoints:
        return Checkpoints(self.store, f"{self.study.name}-{self.study.token.hex[:8]}")

    # -- checkpoints -----------------------------------------------------------------------------

    def restore(self, lease: Lease, workspace: Workspace, stop: Callable[[], bool]) -> None:
        """Begins a trial with the checkpoint of this machine, or of the store where that one is further."""
        self._uploaded = _Uploaded()
        if self.shared and workspace.epoch < lease.epochs:
            folder = workspace.beside("fetched")
            load = partial(self._checkpoints.load, lease.number, lease.attempt, workspace.epoch, folder)
            if epoch := self._wait(self._do(load), stop, FETCH_SECONDS):
                workspace.start_from(folder, epoch)
                self._uploaded.epoch = epoch
        if workspace.epoch:
            where = "the artifact store" if self._uploaded.epoch else "this machine"
            log.info("continues after epoch %d, from %s", workspace.epoch, where)
        elif lease.epochs:
            remedy = "" if self.shared else " (an --artifacts store shared by all workers would have it)"
            log.warning("its checkpoint is not on this machine%s: restarts from epoch 1", remedy)

    def upload_if_affordable(self, lease: Lease, workspace: Workspace) -> None:
        """Uploads the checkpoint that was just published, if another upload is within SHARE."""
        allowed = SHARE * (time.monotonic() - self._began)
        if self._is_behind(workspace) and self._is_idle() and self._spent + self._last <= allowed:
            self._start(lease, workspace)

    def upload_and_wait(self, lease: Lease, workspace: Workspace, renew: Callable[[], bool]) -> None:
        """Uploads the last published checkpoint and waits for it: the trial is about to be given back."""
        if not self._is_behind(workspace) or not _confirmed(renew):
            return
        end = time.monotonic() + PATIENCE_SECONDS
        if self._upload is not None:
            self._wait(self._upload, _never, PATIENCE_SECONDS)
        if self._is_behind(workspace) and self._is_idle():
            self._wait(self._start(lease, workspace), _never, end - time.monotonic())

    def drop_checkpoints(self, lease: Lease) -> None:
        """Removes the checkpoints of a trial that has ended; does not wait for it."""
        if self.shared:
            self._do(partial(self._checkpoints.drop, lease.number, range(1, lease.attempt + 1)))

    def _is_behind(self, workspace: Workspace) -> bool:
        return self.shared and workspace.epoch > self._uploaded.epoch

    def _is_idle(self) -> bool:
        return self._upload is None or self._upload.done()

    def _start(self, lease: Lease, workspace: Workspace) -> Future[None]:
        """Begins an upload of `workspace` as it is now."""
        begun = time.thread_time()
        uploaded, epoch, files = self._uploaded, workspace.epoch, workspace.snapshot()
        linked = time.thread_time() - begun

        def upload() -> None:
            before = time.thread_time()
            generation = uploaded.count % len(GENERATIONS)  # after a failed upload the same one again
            try:
                self._checkpoints.save(lease.number, lease.attempt, generation, epoch, files)
                uploaded.epoch, uploaded.count = epoch, uploaded.count + 1
            finally:
                self._last = linked + (time.thread_time() - before) / self._cores
                self._spent += self._last

        self._upload = self._do(upload)
        return self._upload

    # -- pages -----------------------------------------------------------------------------------

    def put_files(self, number: int, files: Collection[Path], stop: Callable[[], bool]) -> list[Artifact]:
        """Stores files of trial `number` for its page; returns those that were stored in time."""
        taken: list[Artifact] = []

        def write() -> None:
            for path in files:
                artifact = Artifact.of(self.study.token, number, path.name)
                with path.open("rb") as file:
                    self.store.write(artifact.id, file)
                taken.append(artifact)

        self._wait(self._do(write), stop, PATIENCE_SECONDS)
        return list(taken)

    def drop_weights(self, numbers: Collection[int]) -> None:
        """Removes the weights of these trials from the store; does not wait for it."""
        if self.shared:
            self._do(partial(pages.drop, self.study.engine, self.study.id, self.store, WEIGHTS, numbers))

    # -- the thread ------------------------------------------------------------------------------

    def close(self) -> None:
        """Waits for pending jobs."""
        self._wait(self._do(lambda: None), _never, PATIENCE_SECONDS)

    def _do(self, job: Callable[[], Any]) -> Future[Any]:
        """Has the thread do `job` after all others; its result is None where it fails."""

        def quietly() -> Any:
            try:
                return job()
            except Exception as error:  # every kind of store has its own
                log.warning("the artifact store: %s", error_name(error))
                return None

        return self._thread.do(quietly)

    def _wait(self, future: Future[Any], stop: Callable[[], bool], seconds: float) -> Any:
        """The answer; None where `stop` or `seconds` come before it."""
        end = time.monotonic() + seconds
        while not future.done() and not stop() and time.monotonic() < end:
            futures.wait([future], LOOK_SECONDS)
        if future.done():
            return future.result()
        log.warning("the artifact store did not answer in time")
        return None


class _Thread:
    """Does one job after another, and ends with the process even in the middle of a job.

    A ThreadPoolExecutor would make the process wait for that job when it exits.
    """

    def __init__(self) -> None:
        self._jobs: queue.Queue[tuple[Callable[[], Any], Future[Any]]] = queue.Queue()
        threading.Thread(target=self._run, name="sync", daemon=True).start()

    def do(self, job: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._jobs.put((job, future))
        return future

    def _run(self) -> None:
        while True:
            job, future = self._jobs.get()
            future.set_result(job())


def artifact_place(given: str | None, runs: Path) -> str:
    """Where artifacts are: at `given`, or in a folder of this machine."""
    return given or str(runs / DEFAULT)


def _confirmed(renew: Callable[[], bool]) -> bool:
    try:
        return renew()
    except DATABASE_ERRORS:
        return False


def _never() -> bool:
    return False
