"""A worker's side of the artifact store: which checkpoints go there and when, and the files of a page.

With `--artifacts` a trial's checkpoint goes to the store that all machines share:

- after a published epoch, unless uploads would then have taken more than SHARE of the time so far;
- when the trial is given back, always, before somebody else may take it over.

Without it there is a store of this machine's own, for what the dashboard shows, and checkpoints stay
where they are.

One thread beside training does it all: a store may take minutes to answer, and for ever. An upload mostly
waits there; what it takes from training is the time it computes, on one of the cores that training has, and
that is counted. A store that fails costs a line in the log, neither an epoch nor a trial.
"""

import logging
import queue
import threading
import time
import uuid
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
from storage import pages, studies
from storage.artifacts import open_store, said
from storage.checkpoints import GENERATIONS, Checkpoints
from storage.claims import Lease
from storage.errors import DATABASE_ERRORS
from storage.pages import Artifact

log = logging.getLogger(__name__)

DEFAULT = "artifacts"  # below --runs
SHARE = 0.01  # of the time at most that uploads may take from training
PATIENCE_SECONDS = 15.0  # for the store, where somebody waits for it
FETCH_SECONDS = 300.0  # for a checkpoint: without it, epochs are trained again
LOOK_SECONDS = 0.02  # between two looks whether it has answered


@dataclass
class _Sent:
    """What of the present trial is whole in the store: its epoch, and how many checkpoints were."""

    epoch: int = 0
    count: int = 0


class CheckpointSync:
    """The store as one worker uses it; `shared` where other machines do, too."""

    def __init__(self, study: Study, runs: Path, place: str | None) -> None:
        self.study = study
        self.shared = place is not None
        self.store = open_store(artifact_place(place, runs))
        self._thread = _Thread()
        self._sent = _Sent()
        self._upload: Future[None] | None = None
        self._cores = int(thread_variables(1)["OMP_NUM_THREADS"].partition(",")[0])
        self._began = time.monotonic()
        self._spent = self._last = 0.0  # seconds that uploads have taken from training, and the last one

    @cached_property
    def token(self) -> uuid.UUID:
        """The study's, which begins its keys in the store; the database is asked once."""
        return studies.token(self.study.engine, self.study.id)

    @cached_property
    def _checkpoints(self) -> Checkpoints:
        return Checkpoints(self.store, f"{self.study.name}-{self.token.hex[:8]}")

    # -- checkpoints -----------------------------------------------------------------------------

    def restore(self, lease: Lease, workspace: Workspace, stop: Callable[[], bool]) -> None:
        """Begins with a trial: from what this machine has of it, or the store where that is further."""
        self._sent = _Sent()
        if self.shared and workspace.epoch < lease.epochs:
            folder = workspace.beside("fetched")
            load = partial(self._checkpoints.load, lease.number, lease.attempt, workspace.epoch, folder)
            if epoch := self._wait(self._do(load), stop, FETCH_SECONDS):
                workspace.start_from(folder, epoch)
                self._sent.epoch = epoch
        if workspace.epoch:
            where = "the artifact store" if self._sent.epoch else "this machine"
            log.info("goes on after epoch %d, from %s", workspace.epoch, where)
        elif lease.epochs:
            remedy = "" if self.shared else " (--artifacts, one for all workers, would have it)"
            log.warning("its checkpoint is not here%s: restarts from epoch 1", remedy)

    def upload_if_affordable(self, lease: Lease, workspace: Workspace) -> None:
        """Uploads the checkpoint that was just published, if one more is within the share."""
        allowed = SHARE * (time.monotonic() - self._began)
        if self._owes(workspace) and self._is_idle() and self._spent + self._last <= allowed:
            self._start(lease, workspace)

    def upload_and_wait(self, lease: Lease, workspace: Workspace, renew: Callable[[], bool]) -> None:
        """Uploads what was published last, and waits: the trial is about to be given back."""
        if not self._owes(workspace) or not _confirmed(renew):
            return
        end = time.monotonic() + PATIENCE_SECONDS
        if self._upload is not None:
            self._wait(self._upload, _never, PATIENCE_SECONDS)
        if self._owes(workspace) and self._is_idle():
            self._wait(self._start(lease, workspace), _never, end - time.monotonic())

    def drop_checkpoints(self, lease: Lease) -> None:
        """Removes the checkpoints of a trial that has ended; does not wait for it."""
        if self.shared:
            self._do(partial(self._checkpoints.drop, lease.number, range(1, lease.attempt + 1)))

    def _owes(self, workspace: Workspace) -> bool:
        return self.shared and workspace.epoch > self._sent.epoch

    def _is_idle(self) -> bool:
        return self._upload is None or self._upload.done()

    def _start(self, lease: Lease, workspace: Workspace) -> Future[None]:
        """Begins an upload of `workspace` as it is now."""
        begun = time.thread_time()
        sent, epoch, files = self._sent, workspace.epoch, workspace.snapshot()
        linked = time.thread_time() - begun

        def upload() -> None:
            before = time.thread_time()
            generation = sent.count % len(GENERATIONS)  # the same again after one that failed
            try:
                self._checkpoints.save(lease.number, lease.attempt, generation, epoch, files)
                sent.epoch, sent.count = epoch, sent.count + 1
            finally:
                self._last = linked + (time.thread_time() - before) / self._cores
                self._spent += self._last

        self._upload = self._do(upload)
        return self._upload

    # -- pages -----------------------------------------------------------------------------------

    def put_files(self, number: int, files: Collection[Path], stop: Callable[[], bool]) -> list[Artifact]:
        """Puts files of trial `number` into the store for its page; returns those it took in time."""
        taken: list[Artifact] = []

        def write() -> None:
            for path in files:
                artifact = Artifact.of(self.token, number, path.name)
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
        """Waits for what is still to be done."""
        self._wait(self._do(lambda: None), _never, PATIENCE_SECONDS)

    def _do(self, job: Callable[[], Any]) -> Future[Any]:
        """Has the thread do `job` after all others; the answer is None where it fails."""

        def quietly() -> Any:
            try:
                return job()
            except Exception as error:  # of as many kinds as there are stores
                log.warning("the artifact store: %s", said(error))
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
    """Does one job after the other, and ends with the process, whatever the one under way waits for."""

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
    """Where artifacts are: the place that was given, or a folder of this machine's own."""
    return given or str(runs / DEFAULT)


def _confirmed(renew: Callable[[], bool]) -> bool:
    try:
        return renew()
    except DATABASE_ERRORS:
        return False


def _never() -> bool:
    return False
