"""The median rule: is a trial worth its remaining epochs?

It differs from Optuna's MedianPruner (docs/pruning.md compares what they find and lose):

- A trial is compared with ALL trials that came as far, pruned and running ones included. The survivors
  alone are a bar that rises as pruning goes on.
- It is compared at its age: epochs since the end of what delays it. A warm-up of ten epochs delays a curve
  by ten and says nothing about where it ends.
- The mean of the last few scores is compared: not one epoch's luck, and not the best score so far, behind
  which a collapsed trial would hide.
- A trial is ended only when it is below the median of all AND of its own kind. A schedule that gains
  late is behind `constant` half-way; two or more of its own kind show what may still come.
- A trial that is below, but less so than at half its age, runs on: it is catching up. Slow starters
  survive that way.
- A trial above the median is ended, too, where the best is out of its reach: by what whole trials gained
  from its age on, its chance is below one in 200. How many they are and how much they differ counts.
- The trial with the best mean so far runs to its end, even if it has fallen since: only what is complete
  can be chosen.

`CurveTable` is fed score by score and knows neither Optuna nor the database.
"""

import hashlib
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Annotated

from annotated_types import Ge, Interval

from search.objective import CurveShape, Params
from search.pruners.learning_curve import Curve, SmoothedCurve
from search.pruners.pruner import Decision
from search.pruners.thresholds import PeerComparison, ReachComparison, Thresholds
from search.scoring import Direction, sign_of

_ORDINALS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True, kw_only=True, slots=True)
class MedianSettings:
    """Options of `study.pruner` in space.yaml for `kind: median`; `smooth` and `seed` are the study's.

    Attributes:
        smooth: how many consecutive scores are averaged, 1 or more; fewer where there are fewer.
        seed: of the study; with a trial's number it draws the control group.
        startup_trials: how many others must have reached an age before a trial is ended at it, 1 or
            more; so at least as many run to their end.
        epochs: no trial is ended earlier than this many epochs after its delay or a restart, 1 or more.
            None: a tenth of the epochs it has, 5 where that is not known.
        patience: how many epochs in a row a trial must be below the median, 1 or more.
        margin: how far below, 0 or more, in standard deviations of the mean that is compared.
        control: share of would-be-pruned trials that run on, 0 to 1, to show what pruning costs.
        horizon, warmup: the number of epochs a trial has, and of those that delay its curve, or the
            parameters that hold them; None: what the objective's vocabulary says.
    """

    smooth: int = field(default=5, kw_only=False)
    seed: int = field(default=0, kw_only=False)
    startup_trials: Annotated[int, Ge(1)] = 3
    epochs: Annotated[int, Ge(1)] | None = None
    patience: Annotated[int, Ge(1)] = 2
    margin: Annotated[float, Ge(0)] = 2.0
    control: Annotated[float, Interval(ge=0, le=1)] = 0.15
    horizon: str | int | None = None
    warmup: str | int | None = None

    def shape(self, stated: CurveShape, params: Params) -> CurveShape:
        """The shape of a trial's curve that its objective `stated`, with what the options say instead."""
        horizon = params.get(self.horizon) if isinstance(self.horizon, str) else self.horizon
        delay = params.get(self.warmup) if isinstance(self.warmup, str) else self.warmup
        return replace(
            stated,
            horizon=stated.horizon if horizon is None else horizon,
            delay=stated.delay if delay is None else delay,
        )

    def grace(self, horizon: int | None) -> int:
        """Epochs after a delay or a restart before which a trial of `horizon` epochs is not ended.

        By default not fewer than `patience`: each epoch that counts needs a mean of its own.
        """
        if self.epochs is not None:
            return self.epochs
        return max(self.patience, horizon // 10) if horizon else 5


def in_control(seed: int, number: int, share: float) -> bool:
    """Whether a trial is in the control group: the same on every worker and after every restart.

    A systematic sample from a random start. Each trial is in it with probability `share`, and of any n in a
    row are `share` n, rounded down or up: small studies have controls, too.
    """
    digest = hashlib.sha256(f"control {seed}".encode()).digest()
    start = int.from_bytes(digest[:8], "big") / 2**64
    return math.floor(start + (number + 1) * share) > math.floor(start + number * share)


@dataclass(slots=True)
class _Entry:
    """A trial in the table, its scores negated where the study minimizes."""

    curve: SmoothedCurve
    in_control: bool
    verdict: Decision | None = None


class CurveTable:
    """The smoothed scores of all trials by age.

    A trial of the control group counts until it would have been pruned and no further: that it runs on
    must not change what becomes of the others.
    """

    def __init__(self, settings: MedianSettings, direction: Direction = "maximize") -> None:
        self.settings = settings
        self._sign = sign_of(direction)
        self._below = "below" if direction == "maximize" else "above"
        self._entries: dict[int, _Entry] = {}
        self.thresholds = Thresholds(settings.startup_trials, settings.margin, settings.smooth)

    def __contains__(self, number: int) -> bool:
        return number in self._entries

    def add(self, curve: Curve) -> None:
        """Take in a trial that is not here yet, with the scores it has so far."""
        smoothed = SmoothedCurve(curve, self.settings.smooth, self.settings.grace(curve.horizon))
        control = in_control(self.settings.seed, curve.number, self.settings.control)
        self._entries[curve.number] = _Entry(smoothed, control)
        for epoch, score in enumerate(curve.scores, start=1):
            self.update(curve.number, epoch, score)

    def update(self, number: int, epoch: int, score: float) -> None:
        """Take in a trial's next score. Epochs left out are missing; one read before keeps its score."""
        entry = self._entries[number]
        while entry.curve.epoch < epoch - 1:
            self._advance(entry, math.nan)
        if entry.curve.epoch < epoch:
            self._advance(entry, self._sign * score if math.isfinite(score) else math.nan)

    def decide(self, number: int, epoch: int) -> Decision:
        """Whether a trial that has reached `epoch` is ended, by all scores that were read of it.

        A control that would have been pruned keeps that decision. Nothing is decided before `epoch` was
        read.
        """
        entry = self._entries.get(number)
        if entry is None or entry.curve.epoch < epoch:
            return Decision(prune=False, text=f"epoch {epoch}: not read yet", epoch=epoch)
        return entry.verdict or self._judge(entry.curve)

    def _advance(self, entry: _Entry, score: float) -> None:
        curve = entry.curve
        curve.advance(score)
        if not curve.age:
            return
        self.thresholds.measure_noise(curve.recent)
        if entry.verdict or math.isnan(curve.means[-1]):
            return
        self.thresholds.add_last_mean(curve)
        decision = self._judge(curve) if entry.in_control else None
        if decision and decision.prune:
            text = f"{decision.text}; runs on as a control"
            entry.verdict = replace(decision, prune=False, control=True, text=text)

    def _judge(self, curve: SmoothedCurve) -> Decision:
        epoch, thresholds = curve.epoch, self.thresholds
        # After its last epoch a trial has nothing left to save. The best so far counts once it is complete.
        leads = thresholds.has_best(curve)
        may_end = epoch >= curve.may_end_from and epoch != curve.curve.horizon and not leads
        peers = thresholds.compare_with_peers(curve, curve.age)
        best = thresholds.compare_with_best(curve, curve.age)
        text = "nothing to compare with yet"
        if peers:
            times = self._in_a_row(curve, thresholds.compare_with_peers)
            text = self._sentence(peers, curve.curve.kind, times)
            catching_up = times > 0 and thresholds.is_catching_up(curve, peers)
            if may_end and times == self.settings.patience and not catching_up:
                return self._decision(epoch, text, peers, prune=True)
            text += (
                ", but catching up"
                if catching_up
                else ", but has the best mean so far"
                if leads and times
                else ""
            )
        if (
            may_end
            and best
            and self._in_a_row(curve, thresholds.compare_with_best) == self.settings.patience
        ):
            prefix = f"{text}; " if peers else ""
            return self._decision(epoch, prefix + self._out_of_reach(best), best, prune=True)
        if peers:
            return self._decision(epoch, text, peers, prune=False)
        return Decision(prune=False, text=f"epoch {epoch}: {text}", epoch=epoch)

    def _in_a_row(
        self,
        curve: SmoothedCurve,
        compare: Callable[[SmoothedCurve, int], PeerComparison | ReachComparison | None],
    ) -> int:
        """For how many ages up to its last the trial has been below, at most `patience`."""
        for times in range(self.settings.patience):
            comparison = compare(curve, curve.age - times)
            if comparison is None or not comparison.below:
                return times
        return self.settings.patience

    def _decision(
        self, epoch: int, text: str, comparison: PeerComparison | ReachComparison, prune: bool
    ) -> Decision:
        return Decision(
            prune=prune,
            text=f"epoch {epoch}: {text}",
            epoch=epoch,
            value=self._sign * comparison.value,
            bar=self._sign * comparison.bar,
            peers=comparison.peers,
            margin=comparison.margin,
        )

    def _sentence(self, comparison: PeerComparison, kind: Hashable, times: int) -> str:
        numbers = comparison.value, comparison.median, comparison.median_of_kind
        value, median, of_kind = (f"{self._sign * number:.4g}" for number in numbers)
        others = f"the median {median} of {comparison.peers} trials"
        if kind is not None:
            others += f" ({of_kind} of the {comparison.peers_of_kind} {kind})"
        if not times:
            return f"{value} against {others}"
        ordinal = _ORDINALS[times - 1] if times <= len(_ORDINALS) else f"{times}th"
        return f"{value} {self._below} {others}, {ordinal} time, margin {comparison.margin:.2g}"

    def _out_of_reach(self, comparison: ReachComparison) -> str:
        value, best = (f"{self._sign * number:.4g}" for number in (comparison.value, comparison.best))
        return (
            f"the best, {best}, is out of reach for {value}: from here {comparison.peers} trials gained "
            f"{comparison.gain:.2g} on average, margin {comparison.margin:.2g}"
        )
