"""THE PATH OF A TRIAL: claim, ask, configure, train, report or prune, checkpoint, tell.

`Worker.run` is the loop over trials, `Worker.train` one trial from top to bottom. What needs a lease
is done through `storage.leases`, which tests it in the transaction that writes.

- The database may go away at any time: training goes on, results wait in order (`Progress.waiting`) and
  nothing is lost. A process that cannot reach it and is asked to leave does leave:
  its checkpoint is published, whoever takes the trial over repeats what was not reported.
"""

import logging
import random
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from optuna.exceptions import StorageInternalError

from search import page
from search.endings import End, Progress, check_applied, complete, end_of, ended_before, first_line, outcome
from search.judging import build_pruner
from search.objective import Run, configure, describe, load_objective
from search.pulse import Pulse
from search.sampling import ask
from search.shelf import Shelf
from search.signals import Interrupt, interruptible
from search.study import Study, check_data, open_study
from search.workspace import Workspace, check_folder, drop_checkpoints
from storage import reads, studies
from storage.engine import DATABASE_ERRORS, StorageError
from storage.leases import Lease, Leases
from storage.processes import Process

log = logging.getLogger(__name__)

MAX_BUGS = 3  # failed trials in a row, over all workers, that stop the study
KEPT = 5  # best trials whose checkpoints stay
WAIT_SECONDS = 1.0  # between two looks for a trial to take over
RETRY_SECONDS = (0.2, 15.0)  # first and longest pause while the database is away

AWAY: tuple[type[Exception], ...] = (*DATABASE_ERRORS, StorageInternalError, StorageError)
"""What is raised, by us and by Optuna, while the database is away."""

Answer = TypeVar("Answer")


class Left(Exception):
    """This worker does not finish the trial: it was asked to go, or the lease is somebody else's."""


class Worker:
    """One process with one device, training one trial after another."""

    def __init__(
        self,
        study: Study,
        runs: Path,
        data: Path | None,
        device: str,
        label: str,
        artifacts: str | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.study = study
        self.folder = runs / study.name
        self.data = data
        self.device = device
        self.label = label
        self.objective = load_objective(study.spec.objective)
        self.judge = build_pruner(study.spec)(study)
        self.leases = Leases(study.engine, study.id, self.id, Process.current())
        self.pulse = Pulse(self.leases)
        self.shelf = Shelf(study, runs, artifacts)

    def run(self, interrupt: Interrupt) -> int:
        """Trains until the budget is used up or somebody wants it to stop; returns the exit code."""
        self.interrupt = interrupt
        example = next(self.study.spec.space.corners())
        check_data(self.study, describe(self.objective, configure(self.objective, example), self.data))
        with self.pulse:
            try:
                self._insist(partial(self.leases.join, self.label))
                while not self._asked_to_go():
                    lease = self._insist(self.leases.claim)
                    if lease == "spent" or lease == "stopped":
                        break
                    if lease == "wait":
                        interrupt.wait(WAIT_SECONDS)
                        continue
                    self.train(lease)
            except Left:
                pass
        if not interrupt:
            self.shelf.close()
        with_database(self.leases.leave)
        return interrupt.code if interrupt else 0

    def train(self, lease: Lease) -> None:
        """One trial, from its claim to its end."""
        self.pulse.hold(lease)
        workspace = Workspace(self.folder, lease.number, self.id, self.shelf.token.hex)
        workspace.open()
        progress = Progress()
        try:
            with trial_log(workspace.published / "log.txt"):
                where = f"{self.label} of {self.leases.process.host}"
                log.info("trial %d, attempt %d, on %s", lease.number, lease.attempt, where)
                self.shelf.take_up(lease, workspace, self._should_stop)
                end = ended_before(lease) or self._epochs(lease, workspace, progress)
                self._tell(lease, workspace, progress, end)
        except Left:
            self._give_back(lease, workspace)
            return
        workspace.close()
        self.shelf.clear(lease)
        with_database(self._tidy)

    def _epochs(self, lease: Lease, workspace: Workspace, progress: Progress) -> End:
        """Trains the trial's epochs as they come; returns how it ended."""
        seed = self.study.spec.study.sampler.seed
        run = Run(
            workspace.work, self.device, seed, self._should_stop, self.data, self.study.spec.study.smooth
        )
        try:
            params = self._insist(lambda: ask(self.study, lease))
            if lease.epochs:
                progress.scores = self._insist(lambda: self._reported(lease))
            log.info("params: %s", ", ".join(f"{name} {value}" for name, value in params.items()))
            config = configure(self.objective, params)
            with closing(self.objective.train(config, run)) as results:
                for result in results:
                    if not result.finite:
                        return End("PRUNED", "diverged", f"the score became {result.score}", result.epoch)
                    check_applied(params, result.applied)
                    progress.add(result)
                    self._report(lease, workspace, progress)
                    decision = self.judge(lease, params, result, self.pulse.reachable)
                    progress.control = decision.text if decision.control else None
                    if decision.prune:
                        return End("PRUNED", "pruned", decision.text, result.epoch)
            if self._should_stop():
                raise Left
        except (Left, KeyboardInterrupt):
            raise
        except BaseException as error:
            return end_of(error, progress)
        return complete(progress)

    def _report(self, lease: Lease, workspace: Workspace, progress: Progress) -> None:
        """Stores what is waiting, in order, and publishes the checkpoint; keeps both while it cannot."""
        result = progress.waiting[-1]
        better = max if self.study.spec.study.direction == "maximize" else min
        self.pulse.epoch(result, better(progress.scores.values()))
        log.info("epoch %d of %d: %.4f", result.epoch, result.epochs, result.score)
        if not self.pulse.reachable:
            return
        while progress.waiting:
            first = progress.waiting[0]
            try:
                stored = self.leases.report(lease, first.epoch, first.epochs, first.score)
            except DATABASE_ERRORS as error:
                self.pulse.away(error)
                return
            if not stored:
                raise Left
            progress.waiting.pop(0)
        workspace.publish(result.epoch)
        self.shelf.offer(lease, workspace)

    def _tell(self, lease: Lease, workspace: Workspace, progress: Progress, end: End) -> None:
        """Ends the trial in the database, after everything that still waits."""
        for result in progress.waiting:
            report = partial(self.leases.report, lease, result.epoch, result.epochs, result.score)
            if not self._insist(report):
                raise Left
        # Where nothing waited nothing was confirmed: who slept through a lease finds that out here.
        if not self._insist(partial(self.leases.renew, lease)):
            raise Left
        workspace.publish(progress.epoch or workspace.epoch)
        value, attributes = outcome(self.study.spec, lease, progress, end)
        told = {"worker": self.id, **attributes}
        shown = page.build(self.shelf, lease, workspace, progress, end, attributes, self._should_stop)
        self.pulse.drop()
        if not self._insist(lambda: self.leases.finish(lease, end.state, value, told, shown)):
            raise Left
        log.info("%s%s", end.state.lower(), f": {end.text.splitlines()[-1]}" if end.text else "")
        if end.code == "bug" and self._insist(self.leases.bugs_in_a_row) >= MAX_BUGS:
            self._insist(lambda: studies.set_stop(self.study.engine, self.study.id, "bugs"))

    def _reported(self, lease: Lease) -> dict[int, float]:
        """The scores that earlier owners of the trial have reported."""
        found = reads.curves(self.study.engine, [lease.trial_id])[lease.trial_id]
        return {epoch: score for epoch, score in found.items() if score is not None}

    def _tidy(self) -> None:
        """Frees the disk of checkpoints that nobody will ask for: neither good, nor known, nor running."""
        rows = reads.trial_rows(self.study.engine, self.study.id)
        sign = 1 if self.study.spec.study.direction == "maximize" else -1
        complete = [row for row in rows if row.state == "COMPLETE" and row.value is not None]
        best = sorted(complete, key=lambda row: sign * (row.value or 0.0), reverse=True)[:KEPT]
        kept = {row.number for row in best}
        kept |= {
            row.number for row in rows if row.state == "RUNNING" or row.slot < len(self.study.spec.known)
        }
        drop_checkpoints(self.folder, kept)
        self.shelf.tidy(kept)

    def _give_back(self, lease: Lease, workspace: Workspace) -> None:
        self.shelf.deliver(lease, workspace, partial(self.leases.renew, lease))
        self.pulse.drop("stopping" if self._asked_to_go() else "waiting")
        with_database(lambda: self.leases.release(lease))
        workspace.leave()
        log.info("trial %d was given back", lease.number)

    # -- wishes and outages ----------------------------------------------------------------------

    def _asked_to_go(self) -> bool:
        return bool(self.interrupt) or self.pulse.stop == "now"

    def _should_stop(self) -> bool:
        return self._asked_to_go() or self.pulse.lost

    def _insist(self, call: Callable[[], Answer]) -> Answer:
        """Calls until the database answers; raises Left when asked to go before it does."""
        pause, longest = RETRY_SECONDS
        while True:
            try:
                return call()
            except AWAY as error:
                log.warning("the database is away (%s); trying again", type(error).__name__)
            # Jitter: after an outage a hundred workers must not come back in step.
            if self.interrupt.wait(pause * random.uniform(0.5, 1.5)) or self.pulse.stop == "now":
                raise Left
            pause = min(pause * 2, longest)


# -- the process ---------------------------------------------------------------------------------


def with_database(call: Callable[[], None]) -> None:
    """One attempt at something that others find out for themselves if it cannot be said."""
    try:
        call()
    except DATABASE_ERRORS as error:
        log.warning("could not be told: %s", first_line(error))


@contextmanager
def trial_log(path: Path) -> Iterator[None]:
    """Sends what is logged in this block to the trial's log.txt as well."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    except Left:
        raise
    except Exception:
        log.exception("the worker ends")
        raise
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def work(
    url: str, name: str, runs: Path, data: Path | None, device: str, label: str, artifacts: str | None
) -> int:
    """Joins the study and works for it; returns the exit code."""
    check_folder(runs)
    with interruptible() as interrupt:
        return Worker(open_study(url, name), runs, data, device, label, artifacts).run(interrupt)


if __name__ == "__main__":
    from search.cli import main

    main(["worker", *sys.argv[1:]])
