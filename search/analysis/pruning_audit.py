"""What pruning saved and what it lost: a study's own pruner, held against the study's own records.

What a pruned trial would have reached nobody knows. The control group stands for it: trials that the rule
would have ended, and that ran on (`study.pruner.control`).

- **Saved** are the epochs that pruned trials did not run: at most to their last, and likely as many as the
  complete trials that came as far ran on average, since early stopping ends many before. Seconds are a
  trial's own an epoch; where several owners took it up, the waiting between is in them, and the median of
  the others counts.
- **A false kill** is a control whose value in the end is better than the median of the complete trials
  that are no controls: better than half of what pruning kept. The rate is over the controls that came to an
  end, with the 95 % interval of Wilson (1927). One that diverged or ran out of memory has ended, and badly;
  one that failed by a bug, or still runs, says nothing.
- **Rank correlation** is Spearman's, between the mean of the last `smooth` scores at an epoch and the value
  in the end, over the complete trials that came as far. Pruned trials have no end and are missing: over all
  configs it is higher.

Repeats of a config with other seeds count as run and as nothing else: they were chosen for being good.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist, fmean, median
from typing import Any

from search import formatting
from search.analysis.ranks import spearman
from search.records import Record, finite
from search.scoring import Direction

LEVEL = 0.95
SHARES = (0.1, 0.25, 0.5)
"""Parts of a trial's epochs after which its rank is compared with its last; and where trials were ended."""

FEWEST = 3  # trials that have an order worth a number


@dataclass(frozen=True, slots=True)
class Cost:
    """Epochs, and the seconds for which they hold a device."""

    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `trials`, and the 95 % interval of the share."""

    count: int
    trials: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.count / self.trials


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """Spearman's between the smoothed score at `epoch` and the value in the end, over so many trials."""

    epoch: int
    value: float
    trials: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PruningAudit:
    """What the module's docstring defines.

    Attributes:
        pruned: trials that the pruner ended.
        run: of all trials, whatever became of them.
        saved, saved_at_most: by the pruned ones.
        controls: trials that ended and would have been pruned. control: what they cost after the verdict.
        false_kills: None without a control that ended, or without another complete trial.
        lead: how much better the best control is than the best complete trial that is none; below 0 where
            it is worse, and None where there is none of either.
        decided_at: the median epoch of the verdicts; None without any.
        ranks: by epoch; among them `decided_at`, where enough trials came as far.
    """

    pruned: int
    run: Cost
    saved: Cost
    saved_at_most: Cost
    controls: int
    control: Cost
    false_kills: Rate | None
    lead: float | None
    decided_at: int | None
    ranks: Sequence[RankCorrelation]

    def to_json(self) -> dict[str, Any]:
        """The object under `pruning` of `search status --json`."""
        return finite(asdict(self))


def audit(records: Sequence[Record], direction: Direction, smooth: int) -> PruningAudit:
    """The audit of these trials of one study.

    Args:
        records: all of them; the complete ones with their curves, or there are no rank correlations.
        smooth: how many validations the study's score is the mean of.
    """
    complete = [record for record in records if record.is_candidate]
    pruned = [
        record
        for record in records
        if record.state == "pruned" and record.reason is not None and record.reason.code == "pruned"
    ]
    controls = [record for record in records if record.control and record.state in ("complete", "pruned")]
    verdicts = [record.epochs for record in pruned] + [_verdict(record) for record in controls]
    decided_at = round(median(verdicts)) if verdicts else None
    price = _Prices(records)
    return PruningAudit(
        pruned=len(pruned),
        run=price.of([(record, record.epochs) for record in records]),
        saved=price.of([(record, _likely_end(record, complete) - record.epochs) for record in pruned]),
        saved_at_most=price.of([(record, _horizon(record) - record.epochs) for record in pruned]),
        controls=len(controls),
        control=price.of([(record, record.epochs - _verdict(record)) for record in controls]),
        false_kills=_false_kills(controls, complete, direction),
        lead=_lead(complete, direction),
        decided_at=decided_at,
        ranks=_ranks(complete, decided_at, smooth),
    )


def sentences(found: PruningAudit) -> list[str]:
    """The audit in words, for a person; none where nothing was pruned, and nothing would have been."""
    said = []
    if found.pruned:
        likely, most = found.saved, found.saved_at_most
        whole = found.run.epochs + likely.epochs
        share = f" ({likely.epochs / whole:.0%} of what would have run)" if whole else ""
        limit = f"; at most {most.epochs} epochs, {_hours(most)}" if most != likely else ""
        said.append(
            f"{_trials(found.pruned)} ended early saved about {likely.epochs} epochs{share}, "
            f"{_hours(likely)}{limit}"
        )
    if found.controls:
        said.append(_of_controls(found))
    elif found.pruned:
        said.append("no would-be-pruned trial ran on to its end: what pruning lost is not known")
    at_verdicts = [rank for rank in found.ranks if rank.epoch == found.decided_at]
    for rank in at_verdicts if said else ():
        said.append(
            f"rank correlation of epoch {rank.epoch}, where half of the verdicts had fallen, with the end: "
            f"{rank.value:.2f} over {_trials(rank.trials)}"
        )
    return said


def wilson(count: int, trials: int) -> Rate:
    """The rate `count / trials`, of one trial or more, with the score interval of Wilson (1927)."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, scale = count / trials, 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    # At the ends the bound is the end itself, but for rounding.
    low = 0.0 if count == 0 else centre - half
    high = 1.0 if count == trials else centre + half
    return Rate(count, trials, low, high)


def rank_correlation(complete: Sequence[Record], epoch: int, smooth: int) -> RankCorrelation | None:
    """Of complete trials with their curves; None where fewer than three came as far, or all are equal."""
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


class _Prices:
    """Seconds an epoch: a trial's own, or the median where others' waiting is in them."""

    def __init__(self, records: Sequence[Record]) -> None:
        own = [
            record.seconds / record.epochs
            for record in records
            if record.seconds is not None and record.epochs and record.attempts == 1
        ]
        self._median = median(own) if own else 0.0

    def of(self, epochs: Sequence[tuple[Record, float]]) -> Cost:
        """The cost of so many epochs of each trial."""
        total = math.fsum(count for _, count in epochs)
        return Cost(round(total), math.fsum(count * self._epoch(record) for record, count in epochs))

    def _epoch(self, record: Record) -> float:
        if record.attempts > 1 or record.seconds is None or not record.epochs:
            return self._median
        return record.seconds / record.epochs


def _horizon(record: Record) -> int:
    return max(record.horizon or 0, record.epochs)


def _likely_end(record: Record, complete: Sequence[Record]) -> float:
    """The epoch at which a pruned trial would have ended by itself, as the complete ones did."""
    reached = record.epochs / _horizon(record)
    ends = [end for other in complete if (end := other.epochs / _horizon(other)) > reached]
    return fmean(ends) * _horizon(record) if ends else _horizon(record)


# -- what was lost ---------------------------------------------------------------------------------


def _verdict(record: Record) -> int:
    """The epoch at which a control would have been ended."""
    return record.control.epoch or record.epochs if record.control else record.epochs


def _false_kills(
    controls: Sequence[Record], complete: Sequence[Record], direction: Direction
) -> Rate | None:
    kept = [record.value for record in complete if not record.control and record.value is not None]
    if not controls or not kept:
        return None
    bar = median(kept)
    better = [
        record
        for record in controls
        if record.state == "complete" and (formatting.gain(record.value, bar, direction) or 0.0) > 0
    ]
    return wilson(len(better), len(controls))


def _lead(complete: Sequence[Record], direction: Direction) -> float | None:
    best = max if direction == "maximize" else min
    controls = [record.value for record in complete if record.control and record.value is not None]
    others = [record.value for record in complete if not record.control and record.value is not None]
    return formatting.gain(best(controls), best(others), direction) if controls and others else None


def _of_controls(found: PruningAudit) -> str:
    said = "1 control ran on" if found.controls == 1 else f"{found.controls} controls ran on"
    rate = found.false_kills
    if rate is None:
        return f"{said}; what pruning lost is not known, since no other trial is complete"
    said += (
        f": {rate.count} ended better than half of those kept (false kills {rate.share:.0%}, 95 % interval "
        f"{rate.low:.0%} to {rate.high:.0%})"
    )
    if found.lead is None:
        return said
    how = "better than" if found.lead > 0 else "behind"
    return f"{said}; the best of them {formatting.score(abs(found.lead))} {how} the best of the others"


# -- what an early score says ----------------------------------------------------------------------


def _ranks(complete: Sequence[Record], decided_at: int | None, smooth: int) -> list[RankCorrelation]:
    if not complete:
        return []
    horizon = median(_horizon(record) for record in complete)
    epochs = {max(1, round(share * horizon)) for share in SHARES} | ({decided_at} if decided_at else set())
    found = (rank_correlation(complete, epoch, smooth) for epoch in sorted(epochs))
    return [rank for rank in found if rank is not None]


def _smoothed(record: Record, epoch: int, smooth: int) -> float | None:
    """The mean of the last `smooth` scores at `epoch`; None where the curve does not reach it."""
    if len(record.curve) < epoch:
        return None
    window = [score for score in record.curve[max(0, epoch - smooth) : epoch] if score is not None]
    return fmean(window) if window else None


def _hours(cost: Cost) -> str:
    return f"{formatting.hours(cost.seconds / 3600)} device-hours"


def _trials(count: int) -> str:
    return f"{count} trial" if count == 1 else f"{count} trials"
