"""Median pruning over every trial, counted from the end of its own warm-up.

Four things are done differently from Optuna's MedianPruner, which ends the truly best config in about
half of the studies in which a warm-up delays the curves (`benchmarks/pruning.py` has the table):

- A trial is compared with ALL trials that came as far, pruned and running ones included. The survivors
  alone are a bar that rises as pruning goes on.
- What is compared is the age: epochs since the end of a trial's own warm-up. A warm-up of ten epochs
  delays a curve by ten and says nothing about where it ends.
- What is compared is the mean of the last few scores: neither one epoch's luck nor the best there ever
  was, behind which a collapsed trial would hide.
- A trial is ended only when it is below the median of all AND of its own kind. Schedules that gain late
  are behind `constant` half-way and ahead of it at the end; among themselves they are comparable.

`CurveTable` is the rule and knows no Optuna: it is fed score by score, and a decision costs a few
binary searches however many trials there are. `MedianOverAll` feeds it from a study.
"""

import hashlib
import math
from array import array
from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.errors import SpaceError
from search.objective import NOTHING, Direction, Params

COUNTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)

_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_RANGES = {
    "smooth": (1, math.inf),
    "startup_trials": (1, math.inf),
    "epochs": (1, math.inf),
    "patience": (1, math.inf),
    "margin": (0, math.inf),
    "control": (0, 1),
    "horizon": (1, math.inf),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MedianSettings:
    """The section `study.pruner` of space.yaml for `kind: median`, and what the study adds to it.

    Raises SpaceError for a value that is out of its range or of another type.

    Attributes:
        startup_trials: how many others must have reached an age before a trial is ended at it, 1 or
            more; so as many trials always run to their end.
        epochs: no trial is ended earlier than this many epochs after its warm-up or a restart, 1 or
            more. None: a tenth of the horizon, 5 where that is not known.
        patience: how many epochs in a row a trial must be below the median, 1 or more.
        margin: how far below, 0 or more, in standard deviations of a mean of `smooth` scores; their
            noise is measured on the study's own curves.
        control: share of would-be-pruned trials that run on, 0 to 1, to tell what pruning costs.
        smooth: how many consecutive scores are averaged, 1 or more; fewer where there are fewer.
        seed: of the study; with a trial's number it says whether the trial is in the control group.
        horizon: at most how many epochs a trial has; None where that is not known.
        warmup: the parameter that holds a trial's warm-up in epochs, or the number of epochs itself.
        kind: the parameter whose values tell kinds of curve apart; None where there is one kind.
        restarting: the kind that restarts.
        restart_epochs, restart_factor: the parameters that hold the length of the first cycle and by
            what each is longer than the one before.
    """

    startup_trials: int = 4
    epochs: int | None = None
    patience: int = 2
    margin: float = 0.25
    control: float = 0.1
    smooth: int = 5
    seed: int = 0
    horizon: int | None = None
    warmup: str | int = "schedule.warmup_epochs"
    kind: str | None = "schedule.kind"
    restarting: str = "warm_restarts"
    restart_epochs: str = "schedule.restart_epochs"
    restart_factor: str = "schedule.restart_factor"

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name in ("epochs", "horizon"):
                continue
            wanted = (int, float) if name in ("margin", "control") else int
            if isinstance(value, bool) or not isinstance(value, wanted) or not low <= value <= high:
                number = "a number" if name in ("margin", "control") else "a whole number"
                limits = f"from {low} to {high}" if high < math.inf else f"of {low} or more"
                place = f"study.pruner.{name}"
                raise SpaceError(f"{place}: {value!r} is not {number} {limits}", parameter=place)

    @property
    def grace(self) -> int:
        """Epochs after a warm-up or a restart in which no trial is ended.

        Never fewer than `patience`, so that each of the epochs it asks for has a mean of its own.
        """
        if self.epochs is not None:
            return self.epochs
        return max(self.patience, self.horizon // 10) if self.horizon else 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One trial's scores, and what they have to be read with.

    Attributes:
        scores: raw, by epoch from 1; NaN or infinite where one is missing.
        warmup: epochs of warm-up, which are not compared.
        restarts: the first epoch of each cycle after the first, ascending; may be endless.
        kind: curves of different kinds are not comparable half-way; None: comparable with all.
    """

    number: int
    scores: Sequence[float] = ()
    warmup: int = 0
    restarts: Iterable[int] = ()
    kind: Hashable = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the rule says of a trial at an epoch, with its numbers.

    Attributes:
        prune: end the trial now.
        text: one sentence for a person, such as "epoch 31: 0.412 below the median 0.437 of 18 trials,
            second time, margin 0.006".
        value: the mean that was compared. bar: the lower of the medians of all and of its kind, from
            which `margin` is taken off. peers: how many others the median of all is over. None and 0
            where nothing was compared.
        control: it would have been pruned at `epoch`, and runs on as one of the control group.
    """

    prune: bool
    text: str
    epoch: int
    value: float | None = None
    bar: float | None = None
    peers: int = 0
    margin: float | None = None
    control: bool = False


def decide(
    curve: Curve, others: Iterable[Curve], settings: MedianSettings, direction: Direction = "maximize"
) -> Decision:
    """The decision on the last epoch of `curve`, given the others as far as they have come."""
    table = CurveTable(settings, direction)
    for each in (*others, curve):
        table.add(each)
    return table.decide(curve.number, len(curve.scores))


def restarts(warmup: int, epochs: int, factor: int) -> Iterator[int]:
    """The first epochs of the second, third, ... cycle, without end; the first has `epochs` epochs."""
    first = warmup + 1
    while True:
        first += epochs
        epochs *= factor
        yield first


def in_control(seed: int, number: int, share: float) -> bool:
    """Whether a trial belongs to the control group: the same on every worker, and after a restart."""
    digest = hashlib.sha256(f"control {seed} {number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


@dataclass(frozen=True, slots=True)
class _Mean:
    """What a trial is worth at one age: the mean of `count` scores, NaN where all are missing."""

    value: float
    count: int
    may_end: bool


@dataclass(slots=True)
class _Reading:
    """A curve as far as it was read; values are negated where the study minimizes."""

    curve: Curve
    in_control: bool
    restarts: Iterator[int]
    next_restart: float
    may_end_from: float
    recent: deque[float]
    epoch: int = 0
    before_restart: float = math.nan
    means: list[_Mean] = field(default_factory=list)
    verdict: Decision | None = None


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A mean beside the medians of the others of its age: of all, and of its kind."""

    value: float
    median: float
    peers: int
    median_of_kind: float
    peers_of_kind: int
    margin: float

    @property
    def bar(self) -> float:
        return min(self.median, self.median_of_kind)

    @property
    def below(self) -> bool:
        return self.value < self.bar - self.margin


class CurveTable:
    """The smoothed scores of all trials by age, kept sorted, so that a median is looked up.

    A trial of the control group counts up to the verdict that it runs on against: it must not change
    what becomes of the others.
    """

    def __init__(self, settings: MedianSettings, direction: Direction = "maximize") -> None:
        self.settings = settings
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._below = "below" if direction == "maximize" else "above"
        self._readings: dict[int, _Reading] = {}
        self._means: defaultdict[tuple[int, Hashable], array[float]] = defaultdict(lambda: array("d"))
        self._jumps = array("d")

    def __contains__(self, number: int) -> bool:
        return number in self._readings

    def last_epoch(self, number: int) -> int:
        """How far a trial was read."""
        return self._readings[number].epoch

    def add(self, curve: Curve) -> None:
        """Take in a trial that is not here yet, with the scores it has so far."""
        settings = self.settings
        restarts = iter(curve.restarts)
        next_restart = next(restarts, math.inf)
        self._readings[curve.number] = _Reading(
            curve=curve,
            in_control=in_control(settings.seed, curve.number, settings.control),
            restarts=restarts,
            next_restart=next_restart,
            may_end_from=min(curve.warmup + settings.grace, next_restart - 1),
            recent=deque(maxlen=max(settings.smooth, 4)),
        )
        for epoch, score in enumerate(curve.scores, start=1):
            self.update(curve.number, epoch, score)

    def update(self, number: int, epoch: int, score: float) -> None:
        """Take in a trial's next score; epochs left out are missing, one read already stays as it is."""
        reading = self._readings[number]
        while reading.epoch < epoch - 1:
            self._advance(reading, math.nan)
        if reading.epoch < epoch:
            self._advance(reading, self._sign * score if math.isfinite(score) else math.nan)

    def decide(self, number: int, epoch: int) -> Decision:
        """The decision on a trial at an epoch that was read; the verdict, once a control has one."""
        reading = self._readings[number]
        if reading.verdict and reading.verdict.epoch <= epoch:
            return reading.verdict
        return self._judge(reading, epoch)

    def noise(self) -> float:
        """Standard deviation of one score about its curve; 0 until there is something to measure.

        From third differences, which leave nothing of a smooth curve, not even of the steep start
        that first differences take for noise; by their median, which a collapse does not move.
        """
        if len(self._jumps) < 10:
            return 0.0
        # A third difference has 1 + 9 + 9 + 1 times the variance of a score; half of a normal
        # distribution lies within 0.6745 standard deviations.
        return self._jumps[len(self._jumps) // 2] / 0.6745 / math.sqrt(20)

    def _advance(self, reading: _Reading, score: float) -> None:
        reading.epoch += 1
        if reading.epoch == reading.next_restart:
            self._restart(reading)
        if reading.epoch <= reading.curve.warmup:
            return
        reading.recent.append(score)
        if len(reading.recent) >= 4:
            a, b, c, d = list(reading.recent)[-4:]
            jump = abs(a - 3 * b + 3 * c - d)
            if not math.isnan(jump):
                insort(self._jumps, jump)
        mean = self._mean(reading)
        reading.means.append(mean)
        if reading.verdict or math.isnan(mean.value):
            return
        for kind in {None, reading.curve.kind}:
            insort(self._means[len(reading.means), kind], mean.value)
        if reading.in_control:
            decision = self._judge(reading, reading.epoch)
            if decision.prune:
                text = f"{decision.text}; runs on as a control"
                reading.verdict = replace(decision, prune=False, control=True, text=text)

    def _restart(self, reading: _Reading) -> None:
        if reading.means and not math.isnan(reading.means[-1].value):
            reading.before_restart = reading.means[-1].value
        reading.recent.clear()
        reading.next_restart = next(reading.restarts, math.inf)
        reading.may_end_from = min(reading.epoch - 1 + self.settings.grace, reading.next_restart - 1)

    def _mean(self, reading: _Reading) -> _Mean:
        smooth = self.settings.smooth
        present = [score for score in list(reading.recent)[-smooth:] if not math.isnan(score)]
        value = math.fsum(present) / len(present) if present else math.nan
        # A restart throws a curve back for most of a cycle. Until it has caught up, the trial is worth
        # what it had at the end of the cycle before, which its value will have anyway.
        before = reading.before_restart
        if not math.isnan(before) and (len(reading.recent) < smooth or not value > before):
            value, present = before, [before] * smooth
        return _Mean(value, len(present), reading.epoch >= reading.may_end_from)

    def _judge(self, reading: _Reading, epoch: int) -> Decision:
        settings = self.settings
        age = epoch - reading.curve.warmup
        comparison = self._compare(reading, age)
        if comparison is None:
            return Decision(prune=False, text=f"epoch {epoch}: nothing to compare with yet", epoch=epoch)
        times = 0
        while times < settings.patience and self._is_below(reading, age - times):
            times += 1
        may_end = reading.means[age - 1].may_end and epoch != settings.horizon
        return Decision(
            prune=may_end and times == settings.patience,
            text=f"epoch {epoch}: {self._sentence(comparison, reading.curve.kind, times)}",
            epoch=epoch,
            value=self._sign * comparison.value,
            bar=self._sign * comparison.bar,
            peers=comparison.peers,
            margin=comparison.margin,
        )

    def _is_below(self, reading: _Reading, age: int) -> bool:
        comparison = self._compare(reading, age)
        return comparison is not None and comparison.below

    def _compare(self, reading: _Reading, age: int) -> _Comparison | None:
        """None where the trial has no mean, or too few others have one."""
        if not 1 <= age <= len(reading.means) or math.isnan(reading.means[age - 1].value):
            return None
        mean = reading.means[age - 1]
        kind = reading.curve.kind
        median, peers = _median_of_others(self._means[age, None], mean.value)
        median_of_kind, peers_of_kind = _median_of_others(self._means[age, kind], mean.value)
        if peers < self.settings.startup_trials or not peers_of_kind:
            return None
        margin = self.settings.margin * self.noise() / math.sqrt(mean.count)
        return _Comparison(mean.value, median, peers, median_of_kind, peers_of_kind, margin)

    def _sentence(self, comparison: _Comparison, kind: Hashable, times: int) -> str:
        value, median, of_kind = (
            f"{self._sign * number:.4g}"
            for number in (comparison.value, comparison.median, comparison.median_of_kind)
        )
        others = f"the median {median} of {comparison.peers} trials"
        if kind is not None:
            others += f" ({of_kind} of the {comparison.peers_of_kind} {kind})"
        if not times:
            return f"{value} against {others}"
        ordinal = _ORDINALS[times - 1] if times <= len(_ORDINALS) else f"{times}th"
        return f"{value} {self._below} {others}, {ordinal} time, margin {comparison.margin:.2g}"


def _median_of_others(values: Sequence[float], own: float) -> tuple[float, int]:
    """Median of ascending `values` without one of them, `own`, and how many are left; NaN of none."""
    left = len(values) - 1
    if left < 1:
        return math.nan, 0
    index = bisect_left(values, own)
    lower, upper = (left - 1) // 2, left // 2
    return (values[lower + (lower >= index)] + values[upper + (upper >= index)]) / 2, left


class MedianOverAll(optuna.pruners.BasePruner):
    """`CurveTable` as a pruner of Optuna, for one study. Steps are epochs from 1.

    A finished trial is read once, of a running one the new epochs only.

    Args:
        settings: the rule.
        constants: parameters that are the same in every trial, where the trials do not hold them.

    Attributes:
        decision: the last one; its `control` says that the trial would have been pruned.
    """

    def __init__(self, settings: MedianSettings | None = None, constants: Params = NOTHING) -> None:
        self.settings = settings or MedianSettings()
        self.decision: Decision | None = None
        self._constants = constants
        self._table: CurveTable | None = None
        self._finished: set[int] = set()

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        if self._table is None:
            self._table = CurveTable(self.settings, study.direction.name.lower())
        for other in study.get_trials(deepcopy=False, states=COUNTED):
            if other.number not in self._finished and other.number != trial.number:
                self._read(self._table, other)
        self._read(self._table, trial)
        if trial.last_step is None:
            return False
        self.decision = self._table.decide(trial.number, trial.last_step)
        return self.decision.prune

    def _read(self, table: CurveTable, trial: FrozenTrial) -> None:
        scores = trial.intermediate_values
        if scores:
            # Not before the first score: until then its parameters are still being suggested.
            if trial.number not in table:
                table.add(self._curve(trial))
            last = table.last_epoch(trial.number)
            for epoch in sorted(epoch for epoch in scores if epoch > last):
                table.update(trial.number, epoch, scores[epoch])
        if trial.state.is_finished():
            self._finished.add(trial.number)

    def _curve(self, trial: FrozenTrial) -> Curve:
        settings = self.settings
        params = {**self._constants, **trial.params}
        warmup = params.get(settings.warmup, 0) if isinstance(settings.warmup, str) else settings.warmup
        kind = params.get(settings.kind) if settings.kind else None
        restart_epochs: Iterable[int] = ()
        if settings.restart_epochs in params and kind in (None, settings.restarting):
            factor = params.get(settings.restart_factor, 1)
            restart_epochs = restarts(warmup, params[settings.restart_epochs], factor)
        return Curve(number=trial.number, warmup=warmup, restarts=restart_epochs, kind=kind)
