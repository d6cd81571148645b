"""Whether two training runs differ by more than their own noise. Pure: scores in, numbers out.

The score of an epoch is `trend + noise`; the noise of neighbouring epochs is correlated (AR(1)), and the
best of many epochs is a lucky one. Both are accounted for:

1. A run's level P is its highest mean of `window` consecutive scores: 9, or a quarter of the shorter run.
2. The noise is estimated near the best: from the first window that has completed three quarters of the
   climb. The trend there is a cubic in log(epoch). phi and the variance of the noise
   y_t = phi y_(t-1) + u_t are estimated by restricted maximum likelihood (Patterson & Thompson 1971), with
   the weak prior 1 - phi^2, since ten epochs alone would fit any phi.
3. A parametric bootstrap (Efron & Tibshirani 1993, section 6.5) adds such noise to the fitted trend and
   takes the highest mean again: `error` = sd(P*) is how much a level varies, `luck` = E[P*] - P(trend) is
   what taking the best has added to it. Luck is larger in a longer run. The uncertainty of a short run
   about its noise is included: each path has a phi drawn by likelihood and a variance by its chi-squared
   distribution.
4. How much of the difference in luck is real depends on the shape of the trend at its top, which a run
   shows only roughly: half of it is subtracted, and the other half counts as an error.

       difference = P_b - P_a - (luck_b - luck_a) / 2
       error^2    = error_a^2 + error_b^2 + (luck_b - luck_a)^2 / 4
       interval   = difference -+ 1.96 error

A run is declared better at the 1 % level, if `difference -+ 2.58 error` excludes zero: two runs out of many
are compared because they look different. `benchmarks/compare_calibration.py` checks all this against
simulated runs. No pair of runs can show how much another seed would change either of them: the interval is
about these two runs. The number of seeds follows from the observed difference, so it plans nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search.analysis.interval import LEVEL, Interval
from search.scoring import Direction, sign_of

Verdict = Literal["a better", "b better", "not distinguishable"]
Floats = NDArray[np.float64]

DECLARED = 0.99  # of the interval that must exclude zero before a run is declared better
POWER = 0.8  # of the test that the number of seeds is for
WINDOW = 9  # epochs at most
CLIMB = 0.75  # part of the climb before the epochs from which the noise is estimated
SHORTEST = 8  # epochs needed to estimate the noise
DEGREE = 3  # of the trend
AUTOCORRELATIONS = np.linspace(-0.6, 0.95, 63)
PRIOR = 1  # power of 1 - phi^2
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Noise:
    """The trend of a run's scores from some epoch on, and the noise around it.

    Attributes:
        trend: (n,), at the likeliest phi. autocorrelation: that phi. variance: of one value, at that phi.
        likelihoods: of every phi in `AUTOCORRELATIONS`, including the prior; they add up to 1.
        variances: of one value, at each of them.
    """

    trend: Floats
    autocorrelation: float
    variance: float
    likelihoods: Floats
    variances: Floats


@dataclass(frozen=True, slots=True)
class Level:
    """How high a run got.

    Attributes:
        mean: its highest mean of a window.
        luck: by how much that is expected to exceed the trend's, in the direction of better.
        error: standard deviation of `mean`. noise: standard deviation of one epoch. autocorrelation: phi.
        epochs: number of epochs behind the estimate of the noise.
    """

    mean: float
    luck: float
    error: float
    noise: float
    autocorrelation: float
    epochs: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What two runs say about which is better.

    Attributes:
        window: epochs of the means.
        a, b: None if a run is too short to know its noise; then nothing is known about the difference.
        difference: b less a, less half of the difference in luck.
        seeds: runs with fresh seeds that each config needs at least to detect a difference of this size
            with 80 % power; None if no number would do, or nothing is known.
    """

    window: int
    a: Level | None
    b: Level | None
    difference: Interval | None
    verdict: Verdict
    seeds: int | None


def compare(a: Sequence[float], b: Sequence[float], direction: Direction = "maximize") -> Evidence:
    """The evidence in the finite scores of two runs, each from its first epoch on."""
    window = max(1, min(WINDOW, min(len(a), len(b)) // 4))
    level_a, level_b = level(a, window, direction), level(b, window, direction)
    if level_a is None or level_b is None:
        return Evidence(window, level_a, level_b, None, "not distinguishable", None)
    sign = sign_of(direction)
    luck = sign * (level_b.luck - level_a.luck)
    difference = level_b.mean - level_a.mean - luck / 2
    error = math.hypot(level_a.error, level_b.error, luck / 2)
    half = _z(LEVEL) * error
    verdict: Verdict = "not distinguishable"
    if abs(difference) > _z(DECLARED) * error:
        verdict = "b better" if sign * difference > 0 else "a better"
    interval = Interval(difference, difference - half, difference + half)
    seeds = seeds_needed(difference, error / math.sqrt(2))
    return Evidence(window, level_a, level_b, interval, verdict, seeds)


def seeds_needed(difference: float, deviation: float) -> int | None:
    """Runs per config for a two-sided t test at 5 % to detect `difference` with 80 % power; at least 2.

    Args:
        deviation: standard deviation of one run's result.

    Guenther (1981): n = 2 (z_alpha + z_beta)^2 / delta^2 + z_alpha^2 / 4 with delta = difference /
    deviation. None if the difference is negligible beside the deviation: no number would detect it.
    """
    if abs(difference) <= 1e-6 * deviation:
        return None
    alpha, beta = _z(LEVEL), NormalDist().inv_cdf(POWER)
    needed = 2 * ((alpha + beta) * deviation / difference) ** 2 + alpha**2 / 4
    return max(2, math.ceil(needed))


def level(scores: Sequence[float], window: int, direction: Direction = "maximize") -> Level | None:
    """How high a run got; None if it has fewer than `SHORTEST` epochs."""
    sign = sign_of(direction)
    y = sign * np.asarray(scores, dtype=np.float64)
    if len(y) < SHORTEST:
        return None
    best = moving_means(y, window).max()
    noise, design = _noise_near_best(y, window)
    smooth = moving_means(noise.trend, window)
    drawn = (smooth + _paths(noise, design, window)).max(axis=1)
    return Level(
        mean=float(sign * best),
        luck=float(drawn.mean() - smooth.max()),
        error=float(drawn.std()),
        noise=math.sqrt(noise.variance),
        autocorrelation=noise.autocorrelation,
        epochs=len(design),
    )


def mean_error(
    scores: Sequence[float], window: int, direction: Direction = "maximize"
) -> tuple[float, int] | None:
    """How much the mean of `window` given epochs varies with the noise near the run's best.

    Returns:
        Its standard deviation, and the degrees of freedom that are left for the noise; None if the run has
        fewer than `SHORTEST` epochs.
    """
    y = sign_of(direction) * np.asarray(scores, dtype=np.float64)
    if len(y) < SHORTEST:
        return None
    noise, design = _noise_near_best(y, window)
    lags = np.abs(np.arange(window)[:, None] - np.arange(window))
    shares = np.mean(AUTOCORRELATIONS[:, None, None] ** lags, axis=(1, 2))  # of a single value's variance
    variance = noise.likelihoods @ (noise.variances * shares)
    return math.sqrt(variance), len(design) - design.shape[1]


def _noise_near_best(y: Floats, window: int) -> tuple[Noise, Floats]:
    """The noise from the first window that has completed `CLIMB` of the climb, and the trend's design."""
    means = moving_means(y, window)
    best = means.max()
    climbed = means >= best - (1 - CLIMB) * (best - y.min())
    first = min(int(np.argmax(climbed)), len(y) - SHORTEST)
    design = trend(first + 1, len(y))
    return noise_of(y[first:], design), design


def _paths(noise: Noise, design: Floats, window: int) -> Floats:
    """Moving means of simulated noise: (DRAWS, n - window + 1)."""
    rng = np.random.default_rng(0)  # the same runs give the same answer, and equal runs equal luck
    n, freedom = len(design), len(design) - design.shape[1]
    paths = []
    for index, draws in enumerate(rng.multinomial(DRAWS, noise.likelihoods)):
        if draws:
            # Means are linear: the windows are applied to the factor once, not to every path.
            means = moving_means(factor(float(AUTOCORRELATIONS[index]), n), window)
            variances = noise.variances[index] * freedom / rng.chisquare(freedom, draws)
            paths.append(np.sqrt(variances)[:, None] * (rng.standard_normal((draws, n)) @ means))
    return np.concatenate(paths)


def moving_means(y: Floats, window: int) -> Floats:
    """Means of `window` consecutive values along the last axis: (.., n) -> (.., n - window + 1)."""
    sums = np.cumsum(np.concatenate([np.zeros((*y.shape[:-1], 1)), y], axis=-1), axis=-1)
    means: Floats = (sums[..., window:] - sums[..., :-window]) / window
    return means


def trend(first: int, last: int) -> Floats:
    """The design of the trend over epochs `first` to `last`: Legendre polynomials in log(epoch)."""
    u = np.log(np.arange(first, last + 1, dtype=np.float64))
    design: Floats = np.polynomial.legendre.legvander(2 * (u - u[0]) / (u[-1] - u[0]) - 1, DEGREE)
    return design


def noise_of(y: Floats, design: Floats) -> Noise:
    """The trend of `y` (n,) and the AR(1) noise around it, by penalized restricted maximum likelihood."""
    n, p = design.shape
    phi = AUTOCORRELATIONS[:, None]
    # Prais & Winsten (1954): each value less its neighbour's part is independent of the others.
    target = np.hstack([np.sqrt(1 - phi**2) * y[0], y[1:] - phi * y[:-1]])
    first = np.sqrt(1 - phi[..., None] ** 2) * design[:1]
    whitened = np.concatenate([first, design[1:] - phi[..., None] * design[:-1]], axis=1)
    q, r = np.linalg.qr(whitened)
    coefficients = np.linalg.solve(r, np.swapaxes(q, 1, 2) @ target[..., None])
    residuals = np.sum((target - (whitened @ coefficients)[..., 0]) ** 2, axis=1)
    # A curve without noise: the logarithm must still exist.
    residuals = np.maximum(residuals, 1e-24)
    logarithms = (
        -(n - p) / 2 * np.log(residuals)
        + (1 / 2 + PRIOR) * np.log(1 - AUTOCORRELATIONS**2)
        - np.log(np.abs(np.diagonal(r, axis1=1, axis2=2))).sum(axis=1)
    )
    likelihoods = np.exp(logarithms - logarithms.max())
    variances = residuals / (n - p) / (1 - AUTOCORRELATIONS**2)
    best = int(logarithms.argmax())
    return Noise(
        trend=design @ coefficients[best, :, 0],
        autocorrelation=float(AUTOCORRELATIONS[best]),
        variance=float(variances[best]),
        likelihoods=likelihoods / likelihoods.sum(),
        variances=variances,
    )


def factor(phi: float, length: int) -> Floats:
    """The matrix that turns independent values into an AR(1) series of unit variance: (values, length).

    The first value stays; each later one is phi times its neighbour plus sqrt(1 - phi^2) times a new value.
    """
    lags = np.arange(length) - np.arange(length)[:, None]
    weights: Floats = np.where(lags >= 0, float(phi) ** np.abs(lags), 0.0)
    weights[1:] *= math.sqrt(1 - phi**2)
    return weights


def _z(level: float) -> float:
    """Half the width of a normal interval of `level`, in standard deviations."""
    return NormalDist().inv_cdf((1 + level) / 2)
