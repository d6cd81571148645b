"""Configs trained on the same seeds: their means, differences and intervals. Pure NumPy.

The model is that of randomized blocks (Fisher 1935; Scheffe 1959, chapter 4):

    score[config, seed] = config + seed + noise,    noise ~ N(0, variance), equal for all configs

fitted by least squares, whichever cells are missing. The seed's part cancels in every difference; the noise
is estimated from all cells together, with `cells - configs - seeds + 1` degrees of freedom: three seeds of
four configs have 6, where each pair alone would have 2. With two configs this is the paired t test. A
reference that varies far more than the others makes the intervals too narrow.

    difference = c' beta,    error^2 = variance * c' (X'X)^+ c,    interval = difference -+ t * error

A config's own mean varies with its seeds, too: its standard error is that of one score divided by
sqrt(seeds), from the spread within all configs. Scores of one seed are correlated (rho), so the degrees of
freedom of that spread are fewer by the factor 1 + (configs - 1) rho^2: the variance of a mean of correlated
chi-squared.

Looking after every seed and stopping at the first difference would declare equal configs different far more
often than 1 time in 20. `nominal_level` is the level of a single look that keeps the false-positive rate of
the whole race: the same at every look (Pocock 1977), for all contenders against one reference (Dunnett
1955), by simulation of equal configs; it depends on nothing but the number of contenders and looks.

A race stops when a difference looks large, so it stops on the lucky side: an interval with 95 % coverage at
a single look covers the true difference less often at the end of a race, in 92.3 to 95 % of simulations
with one to three contenders. A 96 % interval does in 93.5 to 96 %, so that is the interval of a difference
here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from search.analysis.interval import LEVEL, Interval, student_margin

Floats = NDArray[np.float64]

RACED = 0.96  # of the interval of a difference, at one look; about 0.95 over a race
FALSE_POSITIVES = 0.05  # of races of equal configs, in which any is declared different at any look
DRAWS = 40_000  # simulated races; the level is kept with a margin of four standard errors


@dataclass(frozen=True, slots=True)
class Estimate(Interval):
    """A figure whose interval allows for the looks of a race.

    Attributes:
        p: two-sided, of the true figure being zero.
        above: the chance that the true figure is above zero, given nothing but the scores.
    """

    p: float
    above: float


class Blocks:
    """Scores by config and seed, (configs, seeds), NaN where there is none; randomized blocks."""

    def __init__(self, scores: Floats) -> None:
        self.scores = scores
        self.present = np.isfinite(scores)

    def mean(self, config: int) -> Estimate | None:
        """The mean of one config over its seeds; None if the spread is not known."""
        row = self.scores[config, self.present[config]]
        within, freedom = self._within
        if not len(row) or freedom <= 0:
            return None
        return estimate(float(row.mean()), math.sqrt(within / len(row)), freedom, LEVEL)

    def contrast(self, weights: Sequence[float]) -> Estimate | None:
        """A weighted sum of configs whose weights sum to 0; None if the cells cannot estimate it."""
        c = np.zeros(sum(self.scores.shape))
        c[: len(weights)] = weights
        if self._freedom <= 0 or not np.allclose(self._estimable @ c, c, atol=1e-8):
            return None
        error = math.sqrt(max(0.0, float(c @ self._inverse @ c) * self._variance))
        return estimate(float(c @ self._coefficients), error, self._freedom, RACED)

    def difference(self, config: int, reference: int) -> Estimate | None:
        """`config` less `reference`."""
        return self.contrast(self.weights({config: 1, reference: -1}))

    def weights(self, by_config: dict[int, float]) -> list[float]:
        return [by_config.get(config, 0) for config in range(len(self.scores))]

    @property
    def noise(self) -> float | None:
        """Standard deviation of one score over seeds; None if it is not known."""
        within, freedom = self._within
        return math.sqrt(within) if freedom > 0 else None

    @cached_property
    def _design(self) -> Floats:
        """The config and the seed of each cell, (cells, configs + seeds)."""
        configs, seeds = self.scores.shape
        row, column = np.nonzero(self.present)
        design = np.zeros((len(row), configs + seeds))
        design[np.arange(len(row)), row] = 1
        design[np.arange(len(row)), configs + column] = 1
        return design

    @cached_property
    def _inverse(self) -> Floats:
        """The pseudoinverse of X'X."""
        inverse = np.linalg.pinv(self._design.T @ self._design, hermitian=True)
        return np.asarray(inverse, dtype=np.float64)

    @cached_property
    def _estimable(self) -> Floats:
        """Projection on what the cells can estimate: it leaves an estimable contrast unchanged."""
        projection: Floats = self._inverse @ (self._design.T @ self._design)
        return projection

    @cached_property
    def _coefficients(self) -> Floats:
        """Of configs first, then of seeds."""
        coefficients: Floats = self._inverse @ (self._design.T @ self.scores[self.present])
        return coefficients

    @cached_property
    def _freedom(self) -> int:
        return len(self._design) - round(float(np.trace(self._estimable)))  # whose trace is the rank

    @cached_property
    def _variance(self) -> float:
        """Of the noise that remains after config and seed."""
        residual = self.scores[self.present] - self._design @ self._coefficients
        return float(residual @ residual) / self._freedom

    @cached_property
    def _within(self) -> tuple[float, float]:
        """The variance of a score within its config, including the seeds, and its degrees of freedom."""
        rows = [
            row[present] for row, present in zip(self.scores, self.present, strict=True) if present.any()
        ]
        freedom = sum(len(row) - 1 for row in rows)
        if freedom <= 0:
            return 0.0, 0.0
        variance = sum(float(((row - row.mean()) ** 2).sum()) for row in rows) / freedom
        if self._freedom <= 0 or variance <= 0:
            return variance, freedom
        correlation = min(1.0, max(0.0, 1 - self._variance / variance))
        return variance, freedom / (1 + (len(rows) - 1) * correlation**2)


def estimate(value: float, error: float, freedom: float, level: float) -> Estimate:
    """A figure with its standard error and the t interval of that level."""
    from scipy.special import stdtr  # only the worker that ends a round needs SciPy

    if error <= 1e-12 * max(1.0, abs(value)):  # an objective without randomness: every seed gives the same
        equal = abs(value) <= 1e-12
        return Estimate(value, value, value, float(equal), 0.5 if equal else float(value > 0))
    t = value / error
    half = student_margin(error, freedom, level)
    p = 2 * float(stdtr(freedom, -abs(t)))
    return Estimate(value, value - half, value + half, p, float(stdtr(freedom, t)))


@lru_cache(maxsize=64)
def nominal_level(contenders: int, first: int, last: int) -> float:
    """The two-sided level of one look at one contender with which a race keeps to `FALSE_POSITIVES`.

    Args:
        contenders: how many are compared with one reference, at least 1.
        first, last: seeds at the first look (at least 2) and at the last; there is one after each.
    """
    from scipy.special import stdtr

    rng = np.random.default_rng(0)  # every worker must reach the same decisions
    scores = rng.standard_normal((DRAWS, contenders + 1, last))
    lowest = np.ones(DRAWS)
    for seeds in range(first, last + 1):
        t, freedom = balanced_t(scores[:, :, :seeds])
        lowest = np.minimum(lowest, 2 * stdtr(freedom, -np.abs(t).max(axis=1)))
    share = FALSE_POSITIVES - 4 * math.sqrt(FALSE_POSITIVES * (1 - FALSE_POSITIVES) / DRAWS)
    return float(np.quantile(lowest, share, method="lower"))


def balanced_t(scores: Floats) -> tuple[Floats, int]:
    """t of each config against the first: (draws, configs, seeds) -> (draws, configs - 1), and its freedom.

    The formulas of randomized blocks without missing cells.
    """
    _, configs, seeds = scores.shape
    rows, columns = scores.mean(axis=2), scores.mean(axis=1)
    grand = rows.mean(axis=1)
    freedom = (configs - 1) * (seeds - 1)
    residual = (
        (scores**2).sum(axis=(1, 2))
        - seeds * (rows**2).sum(axis=1)
        - configs * (columns**2).sum(axis=1)
        + configs * seeds * grand**2
    )
    variance = np.maximum(residual, 0) / freedom
    return (rows[:, 1:] - rows[:, :1]) / np.sqrt(2 * variance / seeds)[:, None], freedom
