"""What a search will cost, estimated beforehand from three epochs that are trained on this machine.

- **Measured**: two epochs of one training and the first epoch of another, of the first known config (or a
  corner of the space) with the real data, in temporary folders. The second epoch is the time per epoch. The
  first epoch of the second training takes longer by the start of a trial, and the very first epoch longer
  still by the start of a worker.
- **At most**: every trial trains to its last epoch. **Expected**: without the share of epochs that pruning
  and early stopping have saved elsewhere, which is the named study once ten of its trials have ended, else
  simulated studies (`SIMULATED`). For a pruner measured in neither, nothing is saved.
- **Faster**: on a GPU, three epochs more with each setting that the objective says may be faster.
- **The end**: the expected time divided among workers with a device like this one each, but no sooner than
  one trial takes to its last epoch.
- **The chance**: that at least one of n random draws is among the best 5 % of the space, 1 - 0.95^n. A
  sampler that learns begins with such draws and then samples where earlier ones were good.
"""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from search.errors import SearchError, cause_of
from search.loading import configure, load_objective, train, vocabulary_of
from search.objective import NOTHING, EpochResult, Run
from search.records import Snapshot
from search.spec.spec import Spec
from search.worker.cleanup import CHECKPOINTS, KEPT

SIMULATED: Mapping[str, float] = {"median": 0.35}
"""Share of epochs saved by pruner, in the fitted family of `benchmarks/simulated_studies.py`: 0.35 +- 0.02
in 24 studies of 60 random trials, the control group included (docs/pruning.md)."""

WORKERS = (1, 2, 4, 8)
BEST_SHARE = 0.05
ENOUGH = 10  # ended trials of a study that are enough to predict the others


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """What training costs on one device.

    Attributes:
        config: the known config that was trained, or `a corner of the space`.
        epochs: of a full training. epoch_seconds: of one, with its validation and checkpoint.
        trial_seconds: to start a trial. worker_seconds: to start a worker, besides its first trial.
        checkpoint_bytes: on disk, of running and kept trials only. record_bytes: of every trial.
    """

    config: str
    epochs: int
    epoch_seconds: float
    trial_seconds: float
    worker_seconds: float
    checkpoint_bytes: int
    record_bytes: int

    def trial(self, saved: float = 0.0) -> float:
        """Seconds of a trial that is spared the share `saved` of its epochs."""
        return self.trial_seconds + self.epochs * (1 - saved) * self.epoch_seconds


@dataclass(frozen=True)
class ExpectedSaving:
    """The share of epochs, 0 to 1, that trials are expected to save, and where that number is from."""

    share: float
    source: str


@dataclass(frozen=True)
class FasterSetting:
    """A setting that may make training faster, as it was measured.

    Attributes:
        seconds: of an epoch. start_seconds: that a worker's first trial takes longer to start than without.
        pays_after: epochs of a worker after which the start is made up for; None: never.
    """

    setting: str
    value: Any
    seconds: float
    start_seconds: float
    pays_after: int | None


@dataclass(frozen=True)
class BudgetEstimate:
    """A budget and what it costs.

    Attributes:
        faster: what may make it cheaper.
        trials: the budget. known: how many of them are known configs, not draws.
        workers: the numbers of workers to predict the end for.
    """

    measured: TrainingCost
    saving: ExpectedSaving
    trials: int
    known: int
    workers: Sequence[int] = WORKERS
    faster: Sequence[FasterSetting] = ()

    @property
    def gpu_hours_at_most(self) -> float:
        return self.trials * self.measured.trial() / 3600

    @property
    def gpu_hours(self) -> float:
        """Expected."""
        return self.trials * self.measured.trial(self.saving.share) / 3600

    @property
    def draws(self) -> int:
        return max(0, self.trials - self.known)

    @property
    def chance(self) -> float:
        """The probability that a draw is among the best of the space, if all were random."""
        return 1 - (1 - BEST_SHARE) ** self.draws

    def seconds(self, workers: int) -> float:
        """Expected time until this many workers have used up the budget."""
        shared = math.ceil(self.trials / workers) if self.saving.share == 0 else self.trials / workers
        at_work = max(shared * self.measured.trial(self.saving.share), self.measured.trial())
        return self.measured.worker_seconds + at_work

    def disk_bytes(self, workers: int) -> int:
        """Size of all trials' folders once the budget is used up."""
        kept = min(self.trials, KEPT + self.known + workers)
        return self.trials * self.measured.record_bytes + kept * self.measured.checkpoint_bytes

    def to_json(self) -> dict[str, Any]:
        """The object under `plan` of `search check --plan --json`."""
        measured = self.measured
        return {
            "config": measured.config,
            "trials": self.trials,
            "epochs": measured.epochs,
            "seconds": {
                "epoch": measured.epoch_seconds,
                "trial_start": measured.trial_seconds,
                "worker_start": measured.worker_seconds,
            },
            "gpu_hours": {"at_most": self.gpu_hours_at_most, "expected": self.gpu_hours},
            "left_out": {"share": self.saving.share, "source": self.saving.source},
            "disk_bytes": self.disk_bytes(max(self.workers)),
            "ends": [{"workers": count, "seconds": self.seconds(count)} for count in self.workers],
            "best_5_percent": {"draws": self.draws, "chance": self.chance},
            "faster": [asdict(each) for each in self.faster],
        }


@dataclass(frozen=True)
class StageEstimate:
    """What a later stage of a search costs, in which nothing is pruned: `trainings` of `measured`."""

    trainings: int
    measured: TrainingCost

    @property
    def gpu_hours(self) -> float:
        return self.trainings * self.measured.trial() / 3600

    def to_json(self) -> dict[str, Any]:
        """An object under `plan.stages` of `search check --plan --json`."""
        seconds = {"epoch": self.measured.epoch_seconds, "trial_start": self.measured.trial_seconds}
        return {
            "trials": self.trainings,
            "epochs": self.measured.epochs,
            "seconds": seconds,
            "gpu_hours": self.gpu_hours,
        }


def trainings_of_stages(spec: Spec, trials: int) -> list[int]:
    """How many trainings each later stage has at most, where the first has `trials`."""
    counts, before, known = [], trials, len(spec.known)
    for stage in spec.study.stages[1:]:
        keep = min(stage.keep or 0, before)
        if stage.seeds is not None:
            counts.append((keep + min(known, 1)) * stage.seeds)
        else:
            left = max(0, before - keep - known)
            counts.append(
                keep + known + min(left, max(1, round(stage.controls * left)) if stage.controls else 0)
            )
        before = counts[-1]
    return counts


def expected_saving(spec: Spec, study: Snapshot | None) -> ExpectedSaving:
    """The share of their epochs that trials are expected to save."""
    ended = [
        record
        for record in (study.finished if study else ())
        if record.state != "failed" and record.horizon
    ]
    if study is not None and len(ended) >= ENOUGH:
        share = 1 - sum(record.epochs for record in ended) / sum(record.horizon or 0 for record in ended)
        return ExpectedSaving(
            share, f"as in the {len(ended)} trials of study {study.study!r} that have ended"
        )
    kind = spec.study.pruner.kind
    if kind == "none":
        return ExpectedSaving(0.0, "nothing is pruned")
    if kind not in SIMULATED:
        return ExpectedSaving(0.0, f"nothing is known about what the {kind} pruner saves")
    return ExpectedSaving(SIMULATED[kind], "as in simulated studies, benchmarks/simulated_studies.py")


def measure(spec: Spec, data: Path | None, device: str) -> TrainingCost:
    """Trains three epochs on `device`; raises SearchError where the objective does not train."""
    with tempfile.TemporaryDirectory(prefix="search-plan-") as folder:
        cold = _train(spec, Path(folder) / "trial-0000", data, device, epochs=2)
        warm = _train(spec, Path(folder) / "trial-0001", data, device, epochs=1)
        files = (path for path in (Path(folder) / "trial-0000").rglob("*") if path.is_file())
        sizes = {path.name: path.stat().st_size for path in files}
    if not cold or not warm:
        raise SearchError("--plan: the objective trained no epoch; search start shows why")
    first, again = cold[0][0], warm[0][0]
    epoch = cold[-1][0] if len(cold) > 1 else again
    checkpoint = sum(size for name, size in sizes.items() if name in CHECKPOINTS)
    return TrainingCost(
        config=spec.known[0].name if spec.known else "a corner of the space",
        epochs=cold[-1][1].epochs,
        epoch_seconds=epoch,
        trial_seconds=max(0.0, again - epoch),
        worker_seconds=max(0.0, first - again),
        checkpoint_bytes=checkpoint,
        record_bytes=sum(sizes.values()) - checkpoint,
    )


def measure_faster(spec: Spec, data: Path | None, device: str, cost: TrainingCost) -> list[FasterSetting]:
    """Trains three epochs with each setting that the objective says may be faster and that is not on."""
    found = []
    for name, value in vocabulary_of(spec.objective).faster.items():
        if spec.example().get(name) == value:
            continue
        with tempfile.TemporaryDirectory(prefix="search-plan-") as folder:
            trial = Path(folder) / "trial-0000"
            laps = [lap for lap, _ in _train(spec, trial, data, device, 3, {name: value})]
        if len(laps) < 2:  # trainings of one epoch gain nothing
            continue
        longer = max(0.0, laps[0] - laps[-1] - cost.trial_seconds)
        saved = cost.epoch_seconds - laps[-1]
        found.append(
            FasterSetting(name, value, laps[-1], longer, math.ceil(longer / saved) if saved > 0 else None)
        )
    return found


def _train(
    spec: Spec,
    folder: Path,
    data: Path | None,
    device: str,
    epochs: int,
    changed: Mapping[str, Any] = NOTHING,
) -> list[tuple[float, EpochResult]]:
    """The first epochs of the example config, each with its seconds."""
    folder.mkdir()
    objective, settings = load_objective(spec.objective), spec.study
    run = Run(
        folder, device, settings.sampler.seed, data=data, smooth=settings.smooth, score=settings.score
    )
    laps = []
    begun = time.perf_counter()
    try:
        config = configure(objective, {**spec.example(), **changed})
        with closing(train(objective, config, run)) as results:
            for result in islice(results, epochs):
                now = time.perf_counter()
                laps.append((now - begun, result))
                begun = now
    except SearchError:
        raise
    except Exception as error:
        raise SearchError(f"--plan: training fails with {cause_of(error)}; --debug shows where") from error
    return laps
