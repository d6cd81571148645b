"""The looks of a race: at which level each is tested, and how likely a later one settles it. Pure NumPy.

A contender and the baseline are trained on the same seeds, so the seed's part cancels in each difference.
The differences of one contender are independent normal values with a variance of their own: `mean / error`
is Student's t with `seeds - 1` degrees of freedom. With so few, a variance is often small by luck, and
only a very large t can be called: 13.7 after three of six seeds. Where several contenders race, a variance
that is smaller than the common one is moved towards it (the moderated t of Smyth 2004):

    variance = (PRIOR * common + (seeds - 1) * own) / (PRIOR + seeds - 1)

with `PRIOR + seeds - 1` degrees of freedom. `common` is the geometric mean of all variances, as Smyth too
averages logarithms. Two things are not his. A larger variance stays what it is, so a contender that varies
more than the others is not taken for a quiet one. And PRIOR, which he estimates from thousands of genes, is
a constant here. docs/calibration.md has how often a race errs where contenders differ in noise or are
alike.

Called: looking after every seed and stopping at the first difference would call equal configs different far
more often than 1 time in 20. A race may do so in 5 %; 4 % are spent, since the noise of trainings is not
quite normal, and each contender has an equal part of that (Bonferroni). Of its part a contender has spent
`(seeds / last)^3` by each look (Lan and DeMets 1983; Kim and DeMets 1987): few seeds say little about their
own spread. `nominal_levels` are the levels of the looks that spend just that, by simulation of equal
contenders that share a baseline.

The same: both one-sided tests, against a difference of the margin and of minus the margin, reject (TOST:
Schuirmann 1987). A contender that differs by the margin or more is called the same in at most 5 %. With a
common variance 3 % are spent: where contenders are alike, their variances are small together.

Splits: where every seed draws a train/val split of its own, the training sets overlap, so the differences
are correlated, by `val / (train + val)` (Nadeau and Bengio 2003). That makes their spread too small and
leaves an offset in common that no further seed averages out:

    difference[seed] = gain + noise * (sqrt(overlap) * offset + own[seed]),    overlap = val / train
    error^2 = spread^2 * (1 / seeds + overlap)    in place of spread^2 / seeds

With that error `mean / error` is distributed as before. The levels are simulated with the offset, since
two looks of one race share it.

Futile: given its differences so far, the common variance as it is now and no other knowledge of their mean
and variance (Jeffreys' prior), a later look settles the contender with a probability below 10 %
(Spiegelhalter et al. 1986). Stopping for that calls nothing, so it spends nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RACE = 0.04  # of races of equal configs, in which any is called different; 5 % is what is promised
SAME = 0.05  # of contenders that differ by the margin, which are called the same
SAME_COMMON = 0.03  # what is spent of that with a common variance
FUTILE = 0.1  # chance of being settled below which no more seeds are spent
PRIOR = 2  # degrees of freedom that the common variance is worth
SPENDING = 3  # exponent of how the level is spent over the looks
DRAWS = 100_000  # simulated contenders behind the levels
FUTURES = 500  # simulated continuations of one contender

HIGHER, LOWER, ALIKE, OPEN = 1, -1, 2, 0
"""Codes of `Looks.outcomes`."""


@dataclass(frozen=True)
class Looks:
    """The tests of one contender against one other config.

    Attributes:
        first, last: seeds at the first look, at least 2, and at the last; there is one after each.
        level: the chance that equal configs are called different at any look.
        margin: the largest difference that does not matter; None: nothing is called the same.
        overlap: validation examples for each training example, where every seed draws a split of its own;
            0 where all seeds share one.
        contenders: those that have a variance in common; 1: each has only its own.
    """

    first: int
    last: int
    level: float
    margin: float | None = None
    overlap: float = 0.0
    contenders: int = 1

    @cached_property
    def levels(self) -> Floats:
        """Two-sided, of being called different, by look."""
        return nominal_levels(self.first, self.last, self.level, self.overlap, self.contenders)

    @cached_property
    def _same_levels(self) -> Floats:
        """Two-sided, of being called the same, by look."""
        level = 2 * (SAME if self.contenders == 1 else SAME_COMMON)
        return nominal_levels(self.first, self.last, level, self.overlap, self.contenders)

    def outcomes(self, mean: Floats, error: Floats, freedom: int, look: int) -> NDArray[np.int64]:
        """What a look after `look` seeds says of differences with these means and standard errors."""
        called = is_beyond(mean, error, critical_t(self.levels[look - self.first], freedom))
        found = np.where(called, np.sign(mean).astype(np.int64), OPEN)
        if self.margin is None:
            return found
        # Within the margin, one-sided at half of the two-sided level, is two-sided from the nearer end.
        same = critical_t(self._same_levels[look - self.first], freedom)
        inside = np.abs(mean) < self.margin
        alike = inside & is_beyond(self.margin - np.abs(mean), error, same)
        return np.where(~called & alike, ALIKE, found)

    def settles(self, differences: Floats, common: Floats | float | None = None) -> Floats:
        """The chance that a later look settles contenders with these differences, (..., seeds).

        Args:
            common: the variance that all contenders have in common, if any.
        """
        rng = np.random.default_rng(0)  # every worker must reach the same decisions
        seen = differences.shape[-1]
        spread = noise_draws(rng, differences, common, FUTURES)
        center = differences.mean(axis=-1)[..., None]
        center = center + spread * rng.standard_normal(FUTURES) / np.sqrt(seen)
        future = center[..., None] + spread[..., None] * rng.standard_normal((FUTURES, self.last - seen))
        past = np.broadcast_to(differences[..., None, :], (*spread.shape, seen))
        whole = np.concatenate([past, future], axis=-1)
        later = None if common is None else np.asarray(common)[..., None]
        settled = np.zeros(spread.shape, dtype=bool)
        for look in range(seen + 1, self.last + 1):
            settled |= self.outcomes(*figures(whole[..., :look], self.overlap, later), look) != OPEN
        return np.asarray(settled.mean(axis=-1))

    def power(self, gain: Floats) -> Floats:
        """The chance of being called different at any look, by true gain in units of the noise.

        The noise is the standard deviation of one difference.
        """
        noise = simulated(np.random.default_rng(1), 20_000, self.last, self.overlap, self.contenders)
        called = np.zeros((len(gain), noise[..., 0].size), dtype=bool)
        looks = running(noise, self.first, self.overlap)
        for level, (_, mean, error, freedom) in zip(self.levels, looks, strict=True):
            called |= is_beyond(mean + gain[:, None], error, critical_t(level, freedom))
        return np.asarray(called.mean(axis=1))


def figures(
    differences: Floats, overlap: float, common: Floats | float | None = None
) -> tuple[Floats, Floats, int]:
    """Means over the last axis, their standard errors and the degrees of freedom of these.

    Args:
        common: the variance that all contenders have in common, if any.
    """
    seeds = differences.shape[-1]
    variance, freedom = moderated(differences.var(axis=-1, ddof=1), seeds - 1, common)
    return differences.mean(axis=-1), np.sqrt(variance / seeds * inflation(seeds, overlap)), freedom


def moderated(variance: Floats, freedom: int, common: Floats | float | None) -> tuple[Floats, int]:
    """Variances with that many degrees of freedom, the smaller ones moved up, and their new freedom."""
    if common is None:
        return variance, freedom
    moved = (PRIOR * common + freedom * variance) / (PRIOR + freedom)
    return np.maximum(variance, moved), PRIOR + freedom


def geometric_mean(variances: Floats, weights: Sequence[int] | NDArray[np.int64] | None = None) -> Floats:
    """Over the last axis, which is kept."""
    logs = np.log(np.maximum(variances, np.finfo(np.float64).tiny))
    return np.asarray(np.exp(np.average(logs, axis=-1, weights=weights, keepdims=True)))


def noise_draws(
    rng: np.random.Generator, differences: Floats, common: Floats | float | None, draws: int
) -> Floats:
    """Standard deviations of one difference from their posterior, (..., draws), by (..., seeds)."""
    variance, freedom = moderated(differences.var(axis=-1, ddof=1), differences.shape[-1] - 1, common)
    return np.asarray(np.sqrt(variance)[..., None] * np.sqrt(freedom / rng.chisquare(freedom, draws)))


def inflation(seeds: int, overlap: float) -> float:
    """How many times larger overlapping splits make the variance of a mean over seeds, 1 for no overlap."""
    return 1 + seeds * overlap


def simulated(rng: np.random.Generator, draws: int, seeds: int, overlap: float, contenders: int) -> Floats:
    """Differences of equal configs in units of their noise, (draws / contenders, contenders, seeds)."""
    configs = 1 if contenders == 1 else contenders + 1
    own = rng.standard_normal((draws // contenders, configs, seeds))
    values = own + np.sqrt(overlap) * rng.standard_normal((draws // contenders, configs, 1))
    return np.asarray(values if contenders == 1 else (values[:, 1:] - values[:, :1]) / np.sqrt(2))


def running(noise: Floats, first: int, overlap: float) -> Iterator[tuple[int, Floats, Floats, int]]:
    """Each look with means, standard errors and their freedom, of `simulated` values; one a contender."""
    sums, squares = noise.cumsum(axis=2), (noise**2).cumsum(axis=2)
    for look in range(first, noise.shape[2] + 1):
        mean = sums[..., look - 1] / look
        own = np.maximum((squares[..., look - 1] - look * mean**2) / (look - 1), 0)
        common = geometric_mean(own) if noise.shape[1] > 1 else None
        variance, freedom = moderated(own, look - 1, common)
        error = np.sqrt(variance / look * inflation(look, overlap))
        yield look, mean.ravel(), error.ravel(), freedom


def critical_t(level: float, freedom: int) -> float:
    """The |t| whose two-sided p is `level`."""
    from scipy.special import stdtrit  # only the worker that ends a round needs SciPy

    return -float(stdtrit(freedom, level / 2)) if level > 0 else np.inf


def is_beyond(mean: Floats, error: Floats, bound: float) -> NDArray[np.bool_]:
    """Whether means are that many errors from 0, or not 0 where nothing varies, as without randomness."""
    size = np.abs(mean)
    exact = error <= 1e-12 * np.maximum(1.0, size)
    return np.where(exact, size > 1e-12, size >= bound * np.where(exact, 1.0, error))


@lru_cache(maxsize=64)
def nominal_levels(first: int, last: int, level: float, overlap: float, contenders: int = 1) -> Floats:
    """The two-sided level of each look such that equal configs are called different with chance `level`."""
    from scipy.special import stdtr

    rng = np.random.default_rng(0)  # every worker must reach the same decisions
    noise = simulated(rng, DRAWS, last, overlap, contenders)
    levels, uncalled = [], np.ones(noise[..., 0].size, dtype=bool)
    for look, mean, error, freedom in running(noise, first, overlap):
        t = -np.abs(mean) / error
        spend = int(level * (look / last) ** SPENDING * len(t)) - int((~uncalled).sum())
        bound = np.partition(t[uncalled], spend)[spend - 1] if spend > 0 else -np.inf
        levels.append(2 * float(stdtr(freedom, bound)))
        uncalled &= t > bound
    return np.array(levels)
