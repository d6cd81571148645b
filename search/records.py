"""The read model: what a study holds, as plain frozen values without Optuna.

`Record` is one trial, `Snapshot` the whole study at one moment. Everything that shows results (`status`,
`trials`, the live view, the report) is a function of these.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from search.scoring import Direction, sign_of

State = Literal["running", "complete", "pruned", "failed"]
ReasonCode = Literal["pruned", "objective", "early_stop", "diverged", "oom", "bug"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a trial ended before its last epoch: a code to group by, a sentence, the epoch."""

    code: ReasonCode
    text: str
    epoch: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One trial.

    Attributes:
        number: Optuna's trial number.
        value: the best mean of `study.smooth` consecutive scores; None before the first epoch.
        last: the last raw score. best_score, best_epoch: the best raw score and its epoch.
        params: the sampled parameters by dotted name.
        known: name of the known config this trial ran, if any.
        epochs: number of epochs run. curve: raw scores from epoch 1; None for a missing one.
        worker: id of the worker that holds or held it. attempts: how often a worker took it up.
        seconds: wall-clock time from its first start to its end, or to now.
        horizon: how many epochs it can have; None before the first.
        control: why it would have been pruned, if it ran on as one of the control group.
        repeat_of: the trial whose config it repeats with another seed; None for all others.
        parameters: trainable ones of its model. forward_ms: milliseconds that one example takes on its
            device. Both None where the objective does not say, and before the trial has ended.
    """

    number: int
    state: State
    value: float | None
    last: float | None
    best_score: float | None
    best_epoch: int | None
    params: Mapping[str, Any]
    known: str | None = None
    seed: int | None
    epochs: int
    curve: Sequence[float | None]
    reason: Reason | None
    worker: str | None = None
    attempts: int = 1
    seconds: float | None
    horizon: int | None = None
    control: Reason | None = None
    repeat_of: int | None = None
    parameters: int | None = None
    forward_ms: float | None = None

    @property
    def title(self) -> str:
        """`trial 17`, or `trial 17 (by hand)` if it ran the known config `by hand`."""
        return f"trial {self.number}" + (f" ({self.known})" if self.known else "")

    @property
    def scores(self) -> list[float]:
        """The finite scores in order."""
        return [score for score in self.curve if score is not None]

    @property
    def is_candidate(self) -> bool:
        """Whether it may be its study's best.

        A pruned trial was ended because it promised less; the best of many seeds of one config is luck.
        """
        return self.state == "complete" and self.value is not None and self.repeat_of is None

    def to_json(self) -> dict[str, Any]:
        """The object of `search trials --json`."""
        return finite(asdict(self))


def candidates(records: Sequence[Record], direction: Direction) -> list[Record]:
    """The trials that may be the best, best value first."""
    possible = [record for record in records if record.is_candidate]
    return sorted(possible, key=lambda record: -sign_of(direction) * (record.value or 0.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedRun:
    """A run that was not trained here, under another protocol than the trials, as a list shows it.

    Attributes:
        source: the folder or file it was read from.
        metric: what its scores are, in words.
        value: its best mean of `study.smooth` scores, like a trial's; None if it has no curve.
        best_epoch, epochs: None if they were not recorded.
    """

    name: str
    source: str
    metric: str
    value: float | None
    best_score: float
    best_epoch: int | None
    epochs: int | None

    def to_json(self) -> dict[str, Any]:
        """The object under `imported` of `search status --json`."""
        return finite(asdict(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerView:
    """One worker as it last described itself.

    Attributes:
        state: starting, training, waiting (for a trial to take over), stopping; silent without a heartbeat.
        trial, epoch, epochs: what it trains, the last finished epoch, and the number of epochs at most;
            None, as all below, once another worker has taken the trial over.
        score, best, lr: of the last finished epoch; best is the trial's best raw score.
        seen_seconds_ago: by the database's clock.
    """

    id: str
    host: str
    device: str
    pid: int
    state: str
    trial: int | None
    epoch: int | None
    epochs: int | None
    score: float | None
    best: float | None
    lr: float | None
    images_per_second: float | None
    seen_seconds_ago: float

    def to_json(self) -> dict[str, Any]:
        """The object of `search status --json`."""
        names = "id host device pid state trial epoch images_per_second seen_seconds_ago"  # the contract
        return finite({name: getattr(self, name) for name in names.split()})


@dataclass(frozen=True, slots=True)
class StoppedBy:
    """The rule that ended a search before its budget was used up.

    Attributes:
        rule, limit: `target` with the value to reach, or `after` with how many trials without a better one.
        trial, value: the best when it was met. claimed: how many trials had begun; no other did.
    """

    rule: Literal["target", "after"]
    limit: float
    trial: int
    value: float
    claimed: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Slots of a study; claimed = complete + pruned + failed + running, never above trials.

    Attributes:
        stopped: the rule by which no new trial is claimed; None without one, or before it is met.
        gpu_hours: device-hours after which no new trial is claimed; None without such a limit.
        gpu_hours_used: by all trials, including running ones; None without a limit.
    """

    trials: int
    claimed: int
    complete: int
    pruned: int
    failed: int
    running: int
    gpu_hours: float | None = None
    gpu_hours_used: float | None = None
    stopped: StoppedBy | None = None

    @property
    def finished(self) -> int:
        return self.complete + self.pruned + self.failed

    @property
    def gpu_hours_left(self) -> float | None:
        if self.gpu_hours is None or self.gpu_hours_used is None:
            return None
        return max(0.0, self.gpu_hours - self.gpu_hours_used)

    @property
    def used_up(self) -> bool:
        """Whether no trial runs and none will be claimed."""
        ended = self.gpu_hours_left == 0 or self.stopped is not None
        return self.finished >= self.trials or (ended and not self.running)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A study at one moment.

    Attributes:
        storage: the URL without its password.
        target: the score to reach, if one was given.
        best: the complete trial with the best value; None for a study that retrains: there only seeds
            differ.
        best_known: the best of the complete trials that ran a known config.
        answer: for a study that retrains, the command that shows its answer.
        running: the running trials with their curves.
        finished: the complete, pruned and failed trials; their curves may be left out.
        epochs_run: by all trials. epochs_saved: epochs that pruned trials did not run, at most.
        stop: `drain` or `now` after a request to stop, `bugs` after three bugs in a row.
    """

    study: str
    storage: str
    profile: str | None = None
    direction: Direction
    smooth: int
    target: float | None = None
    budget: Budget
    best: Record | None
    best_known: Record | None = None
    running: Sequence[Record]
    epochs_run: int = 0
    epochs_saved: int = 0
    workers: Sequence[WorkerView]
    finished: Sequence[Record] = ()
    stop: str | None = None
    answer: str | None = None
    notes: Sequence[str] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """The object of `search status --json`."""
        best, shown = self.best, ("number", "value", "best_epoch", "best_score", "params", "known")
        return finite(
            {
                "study": self.study,
                "storage": self.storage,
                "profile": self.profile,
                "direction": self.direction,
                "target": self.target,
                "budget": asdict(self.budget),
                "best": best and {name: getattr(best, name) for name in shown},
                "epochs": {"run": self.epochs_run, "saved": self.epochs_saved},
                "workers": [worker.to_json() for worker in self.workers],
            }
        )


def finite(document: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with every NaN and infinity replaced by None: JSON has neither."""
    return {key: _finite(value) for key, value in document.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return finite(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return value
