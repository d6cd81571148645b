"""What pruning saved and what it lost: a study's pruner checked against the study's own records.

Nobody knows what a pruned trial would have reached. The control group stands for it: trials that the rule
would have pruned but that ran on (`study.pruner.control`).

- **Saved** are the epochs that pruned trials did not run: at most up to their last, and likely as many as
  the complete trials that got as far ran on average, since early stopping ends many sooner. Seconds per
  epoch are the trial's own; if it was taken over, its time includes waiting, so the median of the others is
  used.
- **A false kill** is a control whose final value is better than the median of the complete trials that are
  not controls: better than half of what pruning kept. The rate is over the controls that ended, with the 95
  % interval of Wilson (1927). A control that diverged or ran out of memory has ended, and badly; one that
  failed because of a bug, or still runs, does not count.
- **What was lost** is in `lost_to_pruning`.
- **Rank correlation** is Spearman's, between the mean of the last `smooth` scores at an epoch and the final
  value, over the complete trials that got as far. Pruned trials have no final value and are missing: over
  all configs it is higher.

Repeats of a config with other seeds count only as epochs run: they were chosen for being good.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist, fmean, median
from typing import Any

from search import formatting
from search.analysis.interval import LEVEL
from search.analysis.lost_to_pruning import BetterPruned, better_pruned, count_better
from search.analysis.ranks import spearman
from search.records import Record, finite
from search.scoring import Direction, best_value, mean_of

SHARES = (0.1, 0.25, 0.5)
"""Parts of a trial's epochs at which its rank is compared with its final one."""

FEWEST = 3  # trials for a rank correlation


@dataclass(frozen=True, slots=True)
class EpochCost:
    """Epochs, and the seconds for which they hold a device."""

    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` out of `trials`, with the 95 % interval of the share."""

    count: int
    trials: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.count / self.trials


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """Spearman's, between the smoothed score at `epoch` and the final value, over so many trials."""

    epoch: int
    value: float
    trials: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PruningAudit:
    """The figures that the module's docstring defines.

    Attributes:
        pruned: number of trials that the pruner ended.
        run: by all trials. saved, saved_at_most: by the pruned ones.
        controls: number of controls that ended. control: what they cost after the verdict on them.
        false_kills: None without a control that ended, or without another complete trial.
        lead: how much better the best control is than the best other complete trial; negative if it is
            worse, None if one of the two does not exist.
        better: None without a control that ended, or without another complete trial.
        decided_at: the median epoch of the verdicts; None without any.
        ranks: by epoch, including `decided_at` if enough trials got as far.
    """

    pruned: int
    run: EpochCost
    saved: EpochCost
    saved_at_most: EpochCost
    controls: int
    control: EpochCost
    false_kills: Rate | None
    lead: float | None
    better: BetterPruned | None
    decided_at: int | None
    ranks: Sequence[RankCorrelation]

    def to_json(self) -> dict[str, Any]:
        """The object under `pruning` of `search status --json`."""
        return finite(asdict(self))


def audit(records: Sequence[Record], direction: Direction, smooth: int) -> PruningAudit:
    """The audit of these trials of one study.

    Args:
        records: all of them; the complete ones need their curves for rank correlations.
        smooth: number of validations in the mean that is the study's score.
    """
    complete = [record for record in records if record.is_candidate]
    pruned = [
        record
        for record in records
        if record.state == "pruned" and record.reason is not None and record.reason.code == "pruned"
    ]
    controls = [record for record in records if record.control and record.state in ("complete", "pruned")]
    kept = [each.value for each in complete if not each.control and each.value is not None]
    verdicts = [record.epochs for record in pruned] + [_verdict(record) for record in controls]
    decided_at = round(median(verdicts)) if verdicts else None
    cost = _EpochSeconds(records)
    return PruningAudit(
        pruned=len(pruned),
        run=cost.of([(record, record.epochs) for record in records]),
        saved=cost.of([(record, _likely_end(record, complete) - record.epochs) for record in pruned]),
        saved_at_most=cost.of([(record, _horizon(record) - record.epochs) for record in pruned]),
        controls=len(controls),
        control=cost.of([(record, record.epochs - _verdict(record)) for record in controls]),
        false_kills=_false_kills(controls, kept, direction),
        lead=_lead(controls, kept, direction),
        better=better_pruned(controls, kept, len(pruned), direction),
        decided_at=decided_at,
        ranks=_ranks(complete, decided_at, smooth),
    )


def sentences(result: PruningAudit) -> list[str]:
    """The audit in words; empty if nothing was pruned and nothing would have been."""
    parts = []
    if result.pruned:
        likely, most = result.saved, result.saved_at_most
        whole = result.run.epochs + likely.epochs
        share = f" ({formatting.percent(likely.epochs / whole)} of what would have run)" if whole else ""
        limit = f"; at most {most.epochs} epochs, {_hours(most)}" if most != likely else ""
        parts.append(
            f"{_trials(result.pruned)} ended early saved about {likely.epochs} epochs{share}, "
            f"{_hours(likely)}{limit}"
        )
    if result.controls:
        parts.append(_of_controls(result))
        if result.better and result.pruned:
            parts.append(result.better.sentence(result.pruned))
    elif result.pruned:
        parts.append("no control ran on to its end, so what pruning lost is not known")
    at_verdicts = [rank for rank in result.ranks if rank.epoch == result.decided_at]
    for rank in at_verdicts if parts else ():
        parts.append(
            f"rank correlation between epoch {rank.epoch}, the median epoch of the verdicts, and the end: "
            f"{rank.value:.2f} over {_trials(rank.trials)}"
        )
    return parts


def wilson(count: int, trials: int) -> Rate:
    """The rate `count / trials` with the score interval of Wilson (1927); at least one trial."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, scale = count / trials, 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    # At 0 and at all, the bound is exact; the formula only rounds to it.
    low = 0.0 if count == 0 else centre - half
    high = 1.0 if count == trials else centre + half
    return Rate(count, trials, low, high)


def rank_correlation(complete: Sequence[Record], epoch: int, smooth: int) -> RankCorrelation | None:
    """Of complete trials with their curves; None if fewer than three got as far, or all are equal."""
    pairs = [
        (score, record.value)
        for record in complete
        if record.value is not None and (score := _smoothed(record, epoch, smooth)) is not None
    ]
    if len(pairs) < FEWEST:
        return None
    scores, values = zip(*pairs, strict=True)
    if len(set(scores)) == 1 or len(set(values)) == 1:
        return None
    return RankCorrelation(epoch, spearman(scores, values), len(pairs))


# -- what was saved --------------------------------------------------------------------------------


class _EpochSeconds:
    """Seconds per epoch: a trial's own, or the median if its own include waiting."""

    def __init__(self, records: Sequence[Record]) -> None:
        own = [
            record.seconds / record.epochs
            for record in records
            if record.seconds is not None and record.epochs and record.attempts == 1
        ]
        self._median = median(own) if own else 0.0

    def of(self, epochs: Sequence[tuple[Record, float]]) -> EpochCost:
        """The cost of that many epochs of each trial."""
        total = math.fsum(count for _, count in epochs)
        return EpochCost(round(total), math.fsum(count * self._epoch(record) for record, count in epochs))

    def _epoch(self, record: Record) -> float:
        if record.attempts > 1 or record.seconds is None or not record.epochs:
            return self._median
        return record.seconds / record.epochs


def _horizon(record: Record) -> int:
    return max(record.horizon or 0, record.epochs)


def _likely_end(record: Record, complete: Sequence[Record]) -> float:
    """The epoch at which a pruned trial would have ended by itself, judging by the complete ones."""
    reached = record.epochs / _horizon(record)
    ends = [end for other in complete if (end := other.epochs / _horizon(other)) > reached]
    return fmean(ends) * _horizon(record) if ends else _horizon(record)


# -- what was lost ---------------------------------------------------------------------------------


def _verdict(record: Record) -> int:
    """The epoch at which a control would have been pruned."""
    return record.control.epoch or record.epochs if record.control else record.epochs


def _false_kills(controls: Sequence[Record], kept: Sequence[float], direction: Direction) -> Rate | None:
    if not controls or not kept:
        return None
    return wilson(count_better(controls, median(kept), direction), len(controls))


def _lead(controls: Sequence[Record], kept: Sequence[float], direction: Direction) -> float | None:
    values = [each.value for each in controls if each.is_candidate and each.value is not None]
    if not values or not kept:
        return None
    return formatting.gain(best_value(values, direction), best_value(kept, direction), direction)


def _of_controls(result: PruningAudit) -> str:
    controls = "1 control ran on" if result.controls == 1 else f"{result.controls} controls ran on"
    rate = result.false_kills
    if rate is None:
        return f"{controls}; what pruning lost is not known, since no other trial is complete"
    share, low, high = (formatting.percent(each) for each in (rate.share, rate.low, rate.high))
    kills = (
        f"{controls}: {rate.count} ended better than half of the trials kept (false kills {share}, "
        f"95 % interval {low} to {high})"
    )
    if result.lead is None:
        return kills
    word = "better than" if result.lead > 0 else "behind"
    return (
        f"{kills}; the best of them is {formatting.score(abs(result.lead))} {word} the best of the others"
    )


# -- what an early score says ----------------------------------------------------------------------


def _ranks(complete: Sequence[Record], decided_at: int | None, smooth: int) -> list[RankCorrelation]:
    if not complete:
        return []
    horizon = median(_horizon(record) for record in complete)
    epochs = {max(1, round(share * horizon)) for share in SHARES} | ({decided_at} if decided_at else set())
    correlations = (rank_correlation(complete, epoch, smooth) for epoch in sorted(epochs))
    return [rank for rank in correlations if rank is not None]


def _smoothed(record: Record, epoch: int, smooth: int) -> float | None:
    """The mean of the last `smooth` scores at `epoch`; None if the curve does not reach it."""
    return mean_of(record.curve[max(0, epoch - smooth) : epoch]) if len(record.curve) >= epoch else None


def _hours(cost: EpochCost) -> str:
    return f"{formatting.hours(cost.seconds / 3600)} device-hours"


def _trials(count: int) -> str:
    return f"{count} trial" if count == 1 else f"{count} trials"
