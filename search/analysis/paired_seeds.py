"""Configs that were trained on the same seeds: their means, their differences, intervals. Pure NumPy.

The model is that of randomized blocks (Fisher 1935; Scheffe 1959, chapter 4):

    score[config, seed] = config + seed + noise,    noise ~ N(0, variance), alike for all configs

by least squares, whichever cells are missing. The seed's part leaves every difference; the noise is
estimated from all cells together, with `cells - configs - seeds + 1` degrees of freedom: three seeds of
four configs have 6, where each pair alone would have 2. With two configs this is the paired t test.
A reference that varies far more than the others makes the intervals too narrow; docs/evidence.md says by
how much.

    difference = c' beta,    error^2 = variance * c' (X'X)^+ c,    interval = difference -+ t * error

A config's own mean varies with its seeds, too: its error is that of one score over sqrt(seeds), from the
spread within all configs. Scores of one seed are alike (correlation rho), so that spread has fewer degrees
of freedom than it seems, by 1 + (configs - 1) rho^2: the variance of a mean of correlated chi-squared.

Whoever looks after every seed and stops at the first difference calls equal configs different far more
often than 1 time in 20. `nominal_level` is the level of a single look with which that share is kept over
all contenders and all looks: the same at every look (Pocock 1977), for all contenders against one
reference (Dunnett 1955), by simulation of equal configs; it depends on nothing but their numbers.

Who stops where it looks clear stops on the lucky side: an interval that has 95 % at a single look holds
the truth of a difference less often at the end of a race, 92.3 to 95 % in simulations of one to three
contenders. One of 96 % does in 93.5 to 96 %: that is the interval of a difference here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95  # of the interval of a mean
RACED = 0.96  # of that of a difference, at one look; 0.95 over a race
DRAWS = 40_000  # simulated races; of these, four standard errors less than the level are called


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and what is known of it.

    Attributes:
        low, high: its 95 % interval, with the looks of a race in it.
        p: two-sided, of zero.
        above: the chance that the true figure is above zero, where nothing else is known of it.
    """

    value: float
    low: float
    high: float
    p: float
    above: float


def interval(estimate: Estimate | None) -> dict[str, float] | None:
    """An estimate as JSON has it."""
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


class Blocks:
    """Scores by config and seed: (configs, seeds), NaN where there is none."""

    def __init__(self, scores: Floats) -> None:
        self.scores = scores
        self.there = np.isfinite(scores)

    def mean(self, config: int) -> Estimate | None:
        """The mean of one config over its seeds; None where the spread is not known."""
        row = self.scores[config, self.there[config]]
        within, freedom = self._within
        if not len(row) or freedom <= 0:
            return None
        return _estimate(float(row.mean()), math.sqrt(within / len(row)), freedom, LEVEL)

    def contrast(self, weights: Sequence[float]) -> Estimate | None:
        """A weighted sum of configs whose weights sum to 0; None where the cells do not tell it."""
        c = np.zeros(sum(self.scores.shape))
        c[: len(weights)] = weights
        if self._freedom <= 0 or not np.allclose(self._told @ c, c, atol=1e-8):
            return None
        error = math.sqrt(max(0.0, float(c @ self._inverse @ c) * self._variance))
        return _estimate(float(c @ self._coefficients), error, self._freedom, RACED)

    def difference(self, config: int, reference: int) -> Estimate | None:
        """`config` less `reference`."""
        return self.contrast(self.weights({config: 1, reference: -1}))

    def weights(self, by_config: dict[int, float]) -> list[float]:
        return [by_config.get(config, 0) for config in range(len(self.scores))]

    @property
    def noise(self) -> float | None:
        """Standard deviation of one score over seeds; None where it is not known."""
        within, freedom = self._within
        return math.sqrt(within) if freedom > 0 else None

    @cached_property
    def _design(self) -> Floats:
        """Which config and which seed each cell has, (cells, configs + seeds)."""
        configs, seeds = self.scores.shape
        row, column = np.nonzero(self.there)
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
    def _told(self) -> Floats:
        """The projection on what the cells tell: a contrast that it leaves as it is can be estimated."""
        told: Floats = self._inverse @ (self._design.T @ self._design)
        return told

    @cached_property
    def _coefficients(self) -> Floats:
        """Of configs first, then of seeds."""
        found: Floats = self._inverse @ (self._design.T @ self.scores[self.there])
        return found

    @cached_property
    def _freedom(self) -> int:
        return len(self._design) - round(float(np.trace(self._told)))  # whose trace is the rank

    @cached_property
    def _variance(self) -> float:
        """Of the noise that is left after config and seed."""
        residual = self.scores[self.there] - self._design @ self._coefficients
        return float(residual @ residual) / self._freedom

    @cached_property
    def _within(self) -> tuple[float, float]:
        """The variance of a score within its config, seeds included, and its degrees of freedom."""
        rows = [row[there] for row, there in zip(self.scores, self.there, strict=True) if there.any()]
        freedom = sum(len(row) - 1 for row in rows)
        if freedom <= 0:
            return 0.0, 0.0
        variance = sum(float(((row - row.mean()) ** 2).sum()) for row in rows) / freedom
        if self._freedom <= 0 or variance <= 0:
            return variance, freedom
        alike = min(1.0, max(0.0, 1 - self._variance / variance))
        return variance, freedom / (1 + (len(rows) - 1) * alike**2)


def _estimate(value: float, error: float, freedom: float, level: float) -> Estimate:
    from scipy.special import stdtr, stdtrit  # no worker but the one that ends a round needs it

    if error <= 1e-12 * max(1.0, abs(value)):  # an objective without chance: every seed gives the same
        equal = abs(value) <= 1e-12
        return Estimate(value, value, value, float(equal), 0.5 if equal else float(value > 0))
    t = value / error
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(t)))
    return Estimate(value, value - half, value + half, p, float(stdtr(freedom, t)))


@lru_cache(maxsize=64)
def nominal_level(contenders: int, first: int, last: int, level: float = 0.05) -> float:
    """The two-sided level of one look at one contender, such that races of equals keep `level`.

    Args:
        contenders: how many are held against one reference, at least 1.
        first, last: seeds at the first look (at least 2) and at the last; there is one after each.
        level: the share of races of equal configs in which any is called different at any look.
    """
    from scipy.special import stdtr

    rng = np.random.default_rng(0)  # everybody must come to the same decisions
    scores = rng.standard_normal((DRAWS, contenders + 1, last))
    lowest = np.ones(DRAWS)
    for seeds in range(first, last + 1):
        t, freedom = balanced_t(scores[:, :, :seeds])
        lowest = np.minimum(lowest, 2 * stdtr(freedom, -np.abs(t).max(axis=1)))
    share = level - 4 * math.sqrt(level * (1 - level) / DRAWS)
    return float(np.quantile(lowest, share, method="lower"))


def balanced_t(scores: Floats) -> tuple[Floats, int]:
    """t of each config against the first: (draws, configs, seeds) -> (draws, configs - 1), and its freedom.

    The formulas of randomized blocks where no cell is missing.
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
