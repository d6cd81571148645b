"""Trains a request, seed by seed, in this process; every epoch is a snapshot for the live view.

The path is a trial's without a study: configure, train, check what was applied, one epoch after the other,
from the checkpoint in the folder if there is one.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from search.errors import BrokenDevice, MachineError, SearchError, SpaceError, first_line
from search.loading import configure, describe, load_objective, train
from search.objective import EpochResult, Run
from search.objective.files import write_whole
from search.objective.image_scores import write_image_scores
from search.records import Budget, Reason, Record, Snapshot, WorkerView, candidates
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.scoring import best_mean, epoch_of_best
from search.training.request import TrainingRequest
from search.worker.faults import fault_of, is_disk_error
from search.worker.outcome import check_applied

End = Literal["running", "complete", "early stop", "diverged", "interrupted"]

GOOD: Sequence[End] = ("complete", "early stop")
ENDED: Sequence[End] = (*GOOD, "diverged")


@dataclass
class SeedTraining:
    """One training and how far it is. Its scores are kept beside its folder: a trainer yields none twice.

    Attributes:
        scores: by epoch. epochs: how many it trains at most; 0 before the first. last: its last result.
    """

    seed: int
    folder: Path
    end: End = "running"
    epochs: int = 0
    scores: dict[int, float] = field(default_factory=dict)
    last: EpochResult | None = None
    seconds: float = 0.0

    @property
    def curve(self) -> list[float]:
        """The scores of its epochs, in order."""
        return [self.scores[epoch] for epoch in sorted(self.scores)]

    @property
    def epoch(self) -> int:
        """The last epoch that was trained; 0 before the first."""
        return max(self.scores, default=0)

    def read(self) -> None:
        """Takes up what an earlier call left."""
        with suppress(FileNotFoundError):
            kept = json.loads(self._kept.read_text())
            self.end, self.epochs = kept["end"], kept["epochs"]
            self.scores = {
                epoch: math.nan if score is None else score for epoch, score in enumerate(kept["scores"], 1)
            }

    def write(self) -> None:
        """Keeps what is known; a NaN is null."""
        scores = [score if math.isfinite(score) else None for score in self.curve]
        write_whole(self._kept, json.dumps({"end": self.end, "epochs": self.epochs, "scores": scores}))

    @property
    def _kept(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")


class Trainer:
    """Trains a request on one device, once for each seed, in `place`/seed-42 and so on.

    Attributes:
        description: what the objective says about the data.
        trainings: one for each seed.
    """

    def __init__(
        self,
        request: TrainingRequest,
        seeds: Sequence[int],
        device: Device,
        data: Path | None,
        place: Path,
        name: str,
    ) -> None:
        """Checks settings and data; nothing is written.

        Args:
            name: what the live view calls the whole.

        Raises:
            SpaceError: a setting is wrong. DataError: the data are.
        """
        self.request = request
        self.device = device
        self.data = data
        self.place = place
        self.name = name
        self._objective = load_objective(request.objective)
        try:
            self._config = configure(self._objective, request.params)
        except SpaceError as error:
            raise SpaceError(f"{request.source}: {error}", parameter=error.parameter) from error
        self.description = describe(self._objective, self._config, data)
        self.trainings = [SeedTraining(seed, place / f"seed-{seed}") for seed in seeds]

    def run(self, interrupt: Interrupt) -> Iterator[Snapshot]:
        """Trains seed by seed until all have ended or a signal came; a snapshot after each epoch.

        Raises:
            SearchError: the objective fails, memory or disk is full; in one line.
        """
        for index, training in enumerate(self.trainings):
            training.read()
            if training.end not in ENDED:
                training.end = "running"
                yield self._snapshot(index)
                for _ in self._epochs(training, interrupt):
                    training.write()
                    yield self._snapshot(index)
                training.write()
            if interrupt:
                return
            yield self._snapshot(index + 1)

    def _epochs(self, training: SeedTraining, interrupt: Interrupt) -> Iterator[EpochResult]:
        request = self.request
        run = Run(
            dir=training.folder,
            device=self.device.name,
            seed=training.seed,
            should_stop=lambda: bool(interrupt),
            data=self.data,
            smooth=request.smooth,
            score=request.score,
            all_data=request.all_data,
        )
        begun = time.monotonic()
        try:
            training.folder.mkdir(parents=True, exist_ok=True)
            with closing(train(self._objective, self._config, run)) as results:
                for result in results:
                    training.last = result
                    training.epochs = min(result.epochs, request.last or result.epochs)
                    training.scores[result.epoch] = result.score
                    training.seconds = time.monotonic() - begun
                    check_applied(request.params, result.applied)
                    if result.finite and epoch_of_best(training.scores, request.direction) == result.epoch:
                        write_image_scores(training.folder, result)
                    yield result
                    if not result.finite:
                        training.end = "diverged"
                        return
                    if result.epoch == request.last:
                        break
        except SearchError:
            raise
        except Exception as error:
            raise self._sentence(error, training) from error
        if interrupt:
            training.end = "interrupted"
        elif training.last is None:
            raise SearchError(f"objective {request.objective!r} returned without training an epoch")
        else:
            training.end = "complete" if training.epoch >= training.epochs else "early stop"

    def _sentence(self, error: Exception, training: SeedTraining) -> SearchError:
        if is_disk_error(error):
            text = f"--out: {training.folder}: {first_line(error)}; make room, then run it again"
            return MachineError(text)
        cause = first_line(error)
        try:
            if fault_of(error, self.device) == "memory":
                return SearchError(f"out of memory: {cause}; make trainer.batch_size smaller")
        except BrokenDevice as broken:
            return broken
        return SearchError(f"training fails with {type(error).__name__}: {cause}; --debug shows where")

    def _snapshot(self, done: int) -> Snapshot:
        """All trainings as the live view shows trials; `done` of them have ended."""
        records = [self._record(training) for training in self.trainings[: done + 1]]
        ended, running = records[:done], records[done:]
        failed = sum(record.state == "failed" for record in ended)
        return Snapshot(
            study=self.name,
            storage=str(self.place),
            direction=self.request.direction,
            smooth=self.request.smooth,
            budget=Budget(len(self.trainings), len(records), len(ended) - failed, 0, failed, len(running)),
            best=next(iter(candidates(ended, self.request.direction)), None),
            running=running,
            finished=ended,
            workers=[self._worker(training) for training in self.trainings[done : done + 1]],
            notes=["a trial's number is the seed of its training"],
        )

    def _record(self, training: SeedTraining) -> Record:
        curve = training.curve
        finite = {epoch: score for epoch, score in training.scores.items() if score == score}
        best = epoch_of_best(finite, self.request.direction) if finite else None
        failed = training.end == "diverged"
        return Record(
            number=training.seed,
            state="running" if training.end == "running" else "failed" if failed else "complete",
            value=best_mean(curve, self.request.smooth, self.request.direction),
            last=curve[-1] if curve else None,
            best_score=None if best is None else finite[best],
            best_epoch=best,
            params={},
            seed=training.seed,
            epochs=training.epoch,
            curve=curve,
            reason=Reason("diverged", "the score became infinite or NaN", None) if failed else None,
            seconds=training.seconds,
            horizon=training.epochs or None,
        )

    def _worker(self, training: SeedTraining) -> WorkerView:
        record, last = self._record(training), training.last
        return WorkerView(
            id="this process",
            host="",
            device=self.device.label,
            pid=0,
            state="training",
            trial=training.seed,
            epoch=record.epochs or None,
            epochs=training.epochs or None,
            score=record.last,
            best=record.best_score,
            lr=last.lr if last else None,
            images_per_second=last.metrics.get("images_per_second") if last else None,
            seen_seconds_ago=0.0,
        )


def on_threads(device: Device, threads: object) -> Device:
    """A CPU device with as many threads as a training had, if that was recorded: results depend on it."""
    if device.key is not None or not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        return device
    wanted = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return replace(device, environment={**device.environment, **wanted})
