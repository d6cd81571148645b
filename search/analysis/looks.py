"""The looks of a race: at which level each is tested, and how likely a later one settles it. Pure NumPy.

A contender and the baseline are trained on the same seeds, so the seed's part cancels in each difference.
The differences of one contender are independent normal values with a variance of their own, whatever the
others do: however alike the configs are, and however much more one of them varies, `mean / error` is
Student's t with `seeds - 1` degrees of freedom.

Called: looking after every seed and stopping at the first difference would call equal configs different far
more often than 1 time in 20. A race may do so in 5 %; 4 % are spent, since the noise of trainings is not
quite normal, and each contender has an equal part of that (Bonferroni). Of its part a contender has spent
`(seeds / last)^3` by each look (Lan and DeMets 1983; Kim and DeMets 1987): few seeds say little about their
own spread, so one contender alone needs t = 13.7 after three of six. `nominal_levels` are the levels of the
looks that spend just that, by simulation of one contender, which depends on the numbers of seeds alone.

The same: both one-sided tests, against a difference of the margin and of minus the margin, reject (TOST:
Schuirmann 1987). A contender that differs by the margin or more is called the same in at most 5 %.

Splits: where every seed draws a train/val split of its own, the training sets overlap, so the differences
are correlated, by `val / (train + val)` (Nadeau and Bengio 2003). That makes their spread too small and
leaves an offset in common that no further seed averages out:

    difference[seed] = gain + noise * (sqrt(overlap) * offset + own[seed]),    overlap = val / train
    error^2 = spread^2 * (1 / seeds + overlap)    in place of spread^2 / seeds

With that error `mean / error` is Student's t as before. The levels are simulated with the offset, since two
looks of one race share it.

Futile: given its differences so far and no other knowledge of their mean and variance (Jeffreys' prior), a
later look settles the contender with a probability below 10 % (Spiegelhalter et al. 1986). Stopping for
that calls nothing, so it spends nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RACE = 0.04  # of races of equal configs, in which any is called different; 5 % is what is promised
SAME = 0.05  # of contenders that differ by the margin, which are called the same
FUTILE = 0.1  # chance of being settled below which no more seeds are spent
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
    """

    first: int
    last: int
    level: float
    margin: float | None = None
    overlap: float = 0.0

    @property
    def levels(self) -> Floats:
        """Two-sided, of being called different, by look."""
        return self._levels[0]

    @cached_property
    def _levels(self) -> tuple[Floats, Floats]:
        """Two-sided levels by look: of being called different, and the same."""
        different = nominal_levels(self.first, self.last, self.level, self.overlap)
        return different, nominal_levels(self.first, self.last, 2 * SAME, self.overlap)

    def outcomes(self, mean: Floats, error: Floats, freedom: int, look: int) -> NDArray[np.int64]:
        """What a look after `look` seeds says of differences with these means and standard errors."""
        different, same = (levels[look - self.first] for levels in self._levels)
        called = two_sided(mean, error, freedom) <= different
        found = np.where(called, np.sign(mean).astype(np.int64), OPEN)
        if self.margin is None:
            return found
        # Within the margin, one-sided at half of the two-sided level, is two-sided from the nearer end.
        inside = np.abs(mean) < self.margin
        alike = inside & (two_sided(self.margin - np.abs(mean), error, freedom) <= same)
        return np.where(~called & alike, ALIKE, found)

    def settles(self, differences: Floats) -> float:
        """The chance that a later look settles a contender with these differences, by seed."""
        rng = np.random.default_rng(0)  # every worker must reach the same decisions
        seen, ahead = len(differences), self.last - len(differences)
        spread = differences.std(ddof=1) * np.sqrt((seen - 1) / rng.chisquare(seen - 1, FUTURES))
        center = differences.mean() + spread * rng.standard_normal(FUTURES) / np.sqrt(seen)
        future = center[:, None] + spread[:, None] * rng.standard_normal((FUTURES, ahead))
        whole = np.hstack([np.broadcast_to(differences, (FUTURES, seen)), future])
        settled = np.zeros(FUTURES, dtype=bool)
        for look in range(seen + 1, self.last + 1):
            figures = mean_and_error(whole[:, :look], self.overlap)
            settled |= self.outcomes(*figures, look - 1, look) != OPEN
        return float(settled.mean())

    def power(self, gain: Floats) -> Floats:
        """The chance of being called different at any look, by true gain in units of the noise.

        The noise is the standard deviation of one difference.
        """
        from scipy.special import stdtrit

        noise = simulated(np.random.default_rng(1), 20_000, self.last, self.overlap)
        called = np.zeros((len(gain), len(noise)), dtype=bool)
        looks = running(noise, self.first, self.overlap)
        for level, (look, mean, error) in zip(self.levels, looks, strict=True):
            if level > 0:  # against the critical |t|, which is cheaper than the p of every simulated race
                called |= np.abs(mean + gain[:, None]) >= -stdtrit(look - 1, level / 2) * error
        return np.asarray(called.mean(axis=1))


def mean_and_error(differences: Floats, overlap: float) -> tuple[Floats, Floats]:
    """Means over the last axis and their standard errors."""
    seeds = differences.shape[-1]
    wider = np.sqrt(inflation(seeds, overlap))
    return differences.mean(axis=-1), differences.std(axis=-1, ddof=1) / np.sqrt(seeds) * wider


def inflation(seeds: int, overlap: float) -> float:
    """How many times larger overlapping splits make the variance of a mean over seeds, 1 for no overlap."""
    return 1 + seeds * overlap


def simulated(rng: np.random.Generator, draws: int, seeds: int, overlap: float) -> Floats:
    """Differences of equal configs in units of their noise, (draws, seeds)."""
    own = rng.standard_normal((draws, seeds))
    return np.asarray(own + np.sqrt(overlap) * rng.standard_normal((draws, 1)))


def running(noise: Floats, first: int, overlap: float) -> Iterator[tuple[int, Floats, Floats]]:
    """Each look with the means and their standard errors, of `simulated` values (draws, seeds)."""
    sums, squares = noise.cumsum(axis=1), (noise**2).cumsum(axis=1)
    for look in range(first, noise.shape[1] + 1):
        mean = sums[:, look - 1] / look
        variance = (squares[:, look - 1] - look * mean**2) / (look - 1)
        yield look, mean, np.sqrt(np.maximum(variance, 0) / look * inflation(look, overlap))


def two_sided(mean: Floats, error: Floats, freedom: int) -> Floats:
    """p of a true mean of zero; 0 or 1 where nothing varies, as with an objective without randomness."""
    from scipy.special import stdtr  # only the worker that ends a round needs SciPy

    exact = error <= 1e-12 * np.maximum(1.0, np.abs(mean))
    p = 2 * stdtr(freedom, -np.abs(mean) / np.where(exact, 1.0, error))
    return np.where(exact, np.abs(mean) <= 1e-12, p)


@lru_cache(maxsize=64)
def nominal_levels(first: int, last: int, level: float, overlap: float) -> Floats:
    """The two-sided level of each look such that equal configs are called different with chance `level`."""
    rng = np.random.default_rng(0)  # every worker must reach the same decisions
    noise = simulated(rng, DRAWS, last, overlap)
    levels, uncalled = [], np.ones(DRAWS, dtype=bool)
    for look, mean, error in running(noise, first, overlap):
        p = two_sided(mean, error, look - 1)
        spend = int(level * (look / last) ** SPENDING * DRAWS) - int((~uncalled).sum())
        levels.append(float(np.partition(p[uncalled], spend)[spend - 1]) if spend > 0 else 0.0)
        uncalled &= p > levels[-1]
    return np.array(levels)
