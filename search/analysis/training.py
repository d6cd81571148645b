"""One training in numbers: its best, how far it fell afterwards, and its gap by learning rate.

Pure functions of a recorded run. Points are hundredths of the score.
"""

from dataclasses import dataclass
from statistics import fmean

import numpy as np

from search.analysis import noise
from search.analysis.ranks import spearman
from search.recorded_run import Column, RecordedRun
from search.scoring import sign_of, trailing_means

BANDS = 4
"""Groups of learning rates, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peak:
    """A run at its best.

    Attributes:
        value: its best mean of `smooth` consecutive scores. first, last: epochs of that mean.
        epoch, score: of its best single epoch.
        train, gap, lr: at that epoch; gap is training less validation score in points. None: not recorded.
        older, older_epoch: the best by the metric of older recorded runs, and where that was.
        epochs: how many were trained.
    """

    value: float
    first: int
    last: int
    epoch: int
    score: float
    train: float | None
    gap: float | None
    lr: float | None
    older: float | None
    older_epoch: int | None
    epochs: int


@dataclass(frozen=True, slots=True)
class Decline:
    """How far a run fell after its best.

    Attributes:
        best, last: the best mean of `window` scores, and the mean of the last ones.
        drop: best less last, in points; positive is worse.
        after: epochs from the best mean's last epoch to the run's.
        luck: points of drop expected of a run that loses nothing, only because its best was picked; None if
            the run is too short to know its noise.
    """

    best: float
    last: float
    drop: float
    after: int
    window: int
    luck: float | None


@dataclass(frozen=True, slots=True)
class Band:
    """Epochs with a learning rate from `low` to `high`: their number, mean epoch and mean gap."""

    low: float
    high: float
    epochs: int
    epoch: float
    gap: float


def peak(run: RecordedRun, smooth: int) -> Peak:
    """`run` at its best."""
    first, last, value = _best_window(run, smooth)
    epoch = run.best_epoch
    score = run.finite[epoch]
    train, lr = _at(run.train_scores, epoch), _at(run.rates, epoch)
    older = {n: y for n, y in enumerate(run.older_scores, 1) if y is not None}
    older_epoch = max(older, key=lambda n: (older[n], -n)) if older else None
    return Peak(
        value=value,
        first=first,
        last=last,
        epoch=epoch,
        score=score,
        train=train,
        gap=None if train is None else 100 * (train - score),
        lr=lr,
        older=older[older_epoch] if older_epoch else None,
        older_epoch=older_epoch,
        epochs=len(run.scores),
    )


def decline(run: RecordedRun, smooth: int) -> Decline:
    """How far `run` fell: `drop = 100 x (best mean of smooth scores - mean of the last smooth)`."""
    scores = list(run.finite.values())
    window = min(smooth, len(scores))
    _, last_of_best, best = _best_window(run, smooth)
    last = fmean(scores[-window:])
    sign = sign_of(run.direction)
    level = noise.level(scores, window, run.direction)
    return Decline(
        best=best,
        last=last,
        drop=100 * sign * (best - last) + 0.0,  # no -0.00
        after=max(run.finite) - last_of_best,
        window=window,
        luck=None if level is None else 100 * level.luck,
    )


def gap_by_rate(run: RecordedRun) -> tuple[list[Band], float | None]:
    """The gap in bands of the learning rate, equally many epochs each; and whether rate follows epoch.

    Returns the bands by ascending rate, and Spearman's correlation between rate and epoch: near -1 or 1
    their effects cannot be separated. None if the rate never changes.
    """
    columns = (run.train_scores, run.scores, run.rates)
    rows = [
        (lr, epoch, 100 * (train - score))
        for epoch, (train, score, lr) in enumerate(zip(*columns, strict=False), 1)
        if train is not None and score is not None and lr is not None
    ]
    if not rows:
        return [], None
    rates, epochs, gaps = np.array(sorted(rows)).T
    different = len(set(rates.tolist()))
    edges = np.searchsorted(rates, np.quantile(rates, np.arange(1, BANDS) / BANDS), side="right")
    groups = [part for part in np.split(np.arange(len(rates)), np.unique(edges)) if len(part)]
    bands = [
        Band(rates[part[0]], rates[part[-1]], len(part), epochs[part].mean(), gaps[part].mean())
        for part in groups
    ]
    return bands, spearman(rates.tolist(), epochs.tolist()) if different > 1 else None


def _best_window(run: RecordedRun, smooth: int) -> tuple[int, int, float]:
    """First and last epoch of the best mean of `smooth` consecutive scores, and that mean."""
    scores = run.finite
    epochs, window = list(scores), min(smooth, len(scores))
    means = trailing_means(list(scores.values()), window)[window - 1 :]
    sign = sign_of(run.direction)
    index = max(range(len(means)), key=lambda at: (sign * means[at], -at))
    return epochs[index], epochs[index + window - 1], means[index]


def _at(column: Column, epoch: int) -> float | None:
    return column[epoch - 1] if epoch <= len(column) else None
