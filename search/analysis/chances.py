"""How probable it is that a contender is better than the baseline: a posterior, with its prior.

    score[config, seed] = level[seed] + gain[config] + offset[config] + noise[config] * normal

- gain: of a contender, normal around 0, so better and worse are equally likely; 0 for the baseline. Its
  width is learnt from all contenders. In units of the noise it is half-Cauchy with a median of 1
  (Gelman 2006). No two configs are exactly equal.
- level: flat. All configs have it in common, so contenders share the noise of the baseline that they are
  compared with.
- noise: the variances by config are scaled inverse chi-squared with 3 degrees of freedom around a common
  value, about which nothing is known (Gelman et al. 2013, chapter 14), so that a config with few seeds
  learns from the others. Contenders whose noise is alike are the same as a noisier baseline.
- offset: what overlapping splits leave in common (`search.analysis.looks`), with the variance of the noise
  times the overlap; 0 where all seeds share one split.

The posterior is drawn by Gibbs sampling, in many short chains at once and always with the same random
numbers; a probability is right within about 0.005. Gains and offsets are drawn together, from their sum and
a draw of the prior (Doucet 2010). Each draw of the variances counts with the probability given them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.analysis.looks import Floats

WIDTHS = np.geomspace(0.1, 10.0, 25)  # of the gains, in units of the noise
FREEDOM = 3  # of the variances by config
CHAINS, WARMUP, STEPS = 200, 15, 30


@dataclass(frozen=True, slots=True)
class Chances:
    """Posterior probabilities of one contender against the baseline.

    Attributes:
        better: that it is better at all. matters: that it is better by the margin or more.
        same: that the two differ by less than the margin. Both are None without a margin.
    """

    better: float
    matters: float | None
    same: float | None


def chances(scores: Floats, sign: int, margin: float | None, overlap: float = 0.0) -> list[Chances | None]:
    """The chances of each contender; None where it shares fewer than two seeds with the baseline.

    Args:
        scores: (configs, seeds), the baseline first; NaN where there is none.
        sign: 1 where higher scores are better, else -1.
        overlap: that of `search.analysis.looks.Looks`.
    """
    from scipy.special import ndtr  # only an answer needs SciPy

    shared = np.isfinite(scores) & np.isfinite(scores[0])
    known = [config for config in range(1, len(scores)) if shared[config].sum() > 1]
    found: list[Chances | None] = [None] * (len(scores) - 1)
    if not known:
        return found
    paired = sign * np.where(shared, scores, np.nan)[[0, *known]]
    paired = paired[:, np.isfinite(paired[1:]).any(axis=0)]
    differences = paired[1:] - paired[0]
    scale = float(np.nanmax(np.nanstd(differences, axis=1)))
    if scale <= 1e-12:
        means, spreads = np.nanmean(differences, axis=1)[None], np.full((1, len(known)), 1e-12)
    else:
        centred = (paired - np.nanmean(paired[0])) / scale
        means, spreads = (scale * np.array(each) for each in zip(*_draws(centred, overlap), strict=True))

    def above(bound: float) -> Floats:
        return np.asarray(ndtr((means - bound) / spreads).reshape(-1, len(known)).mean(axis=0))

    better = above(0.0)
    matters, same = (None, None) if margin is None else (above(margin), above(-margin) - above(margin))
    for row, config in enumerate(known):
        sizes = (None, None) if matters is None or same is None else (float(matters[row]), float(same[row]))
        found[config - 1] = Chances(float(better[row]), *sizes)
    return found


def _draws(scores: Floats, overlap: float) -> Iterator[tuple[Floats, Floats]]:
    """Means and standard deviations of the gains given each draw of the variances, (CHAINS, contenders)."""
    rng = np.random.default_rng(0)  # the same scores have the same probabilities
    has = np.isfinite(scores)
    seen = np.where(has, scores, 0.0)
    counts, contenders = has.sum(axis=1) + (overlap > 0), len(scores) - 1
    ratios, noise = np.ones((CHAINS, len(scores))), np.full(CHAINS, 0.5)  # variances: by config, in common
    width = rng.choice(WIDTHS, CHAINS)
    for step in range(WARMUP + STEPS):
        variances = noise[:, None] * ratios
        gain_variance, offset_variances = (width**2 * noise)[:, None], overlap * variances
        weights = has / variances[:, :, None]  # (CHAINS, configs, seeds)
        prior = _prior_precision(gain_variance, offset_variances)
        center, covariance = _gain_and_offset(weights, seen, prior)
        if step >= WARMUP:
            yield _gain_alone(center, covariance, prior, gain_variance)
        root = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
        together = center + _times(root, rng.standard_normal(center.shape))
        gain, offset = _told_apart(rng, together, prior, gain_variance, offset_variances)
        squares = _squared_noise(rng, weights, has, seen, together)
        squares += offset**2 / overlap if overlap else 0.0
        ratios = (FREEDOM + squares / noise[:, None]) / rng.chisquare(FREEDOM + counts, ratios.shape)
        gains = (gain**2).sum(axis=1)
        left = (squares / ratios).sum(axis=1) + gains / width**2
        noise = left / rng.chisquare(counts.sum() + contenders, CHAINS)
        width = _width(rng, gains, noise, contenders)


def _prior_precision(gain_variance: Floats, offset_variances: Floats) -> Floats:
    """Of each contender's gain and offset less the baseline's offset, (CHAINS, contenders, contenders)."""
    own = gain_variance + offset_variances[:, 1:]
    return np.asarray(np.linalg.inv(np.eye(own.shape[1]) * own[:, None] + offset_variances[:, :1, None]))


def _gain_and_offset(weights: Floats, seen: Floats, prior: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of gain and offset together, given the scores, whatever the levels are."""
    totals = weights.sum(axis=1)
    own = weights.sum(axis=2)[:, 1:]
    cross = (weights / totals[:, None]) @ weights.transpose(0, 2, 1)
    measured = np.eye(own.shape[1]) * own[:, None] - cross[:, 1:, 1:]
    covariance = np.asarray(np.linalg.inv(measured + prior), dtype=np.float64)
    level = (weights * seen).sum(axis=1) / totals
    pull = (weights * (seen - level[:, None])).sum(axis=2)[:, 1:]
    return _times(covariance, pull), covariance


def _gain_alone(
    center: Floats, covariance: Floats, prior: Floats, gain_variance: Floats
) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the gain, given those of gain and offset together."""
    shrunk = gain_variance[:, :, None] * prior
    known = shrunk @ (np.eye(center.shape[1]) - covariance @ prior)  # share that the scores take away
    return _times(shrunk, center), np.sqrt(gain_variance * (1 - np.diagonal(known, axis1=1, axis2=2)))


def _told_apart(
    rng: np.random.Generator,
    together: Floats,
    prior: Floats,
    gain_variance: Floats,
    offset_variances: Floats,
) -> tuple[Floats, Floats]:
    """A draw of gains and offsets, given their sum: one from the prior, moved by what its sum lacks."""
    gain = np.sqrt(gain_variance) * rng.standard_normal(together.shape)
    offset = np.sqrt(offset_variances) * rng.standard_normal(offset_variances.shape)
    lacking = _times(prior, together - (gain + offset[:, 1:] - offset[:, :1]))
    gain += gain_variance * lacking
    offset += offset_variances * np.hstack([-lacking.sum(axis=1, keepdims=True), lacking])
    return gain, offset


def _squared_noise(
    rng: np.random.Generator, weights: Floats, has: NDArray[np.bool_], seen: Floats, together: Floats
) -> Floats:
    """Sums of squares of each config's noise, (CHAINS, configs), with a draw of the levels."""
    totals = weights.sum(axis=1)
    rest = seen - np.pad(together, ((0, 0), (1, 0)))[:, :, None]
    level = (weights * rest).sum(axis=1) / totals + rng.standard_normal(totals.shape) / np.sqrt(totals)
    return np.asarray((has * (rest - level[:, None]) ** 2).sum(axis=2))


def _width(rng: np.random.Generator, gains: Floats, noise: Floats, contenders: int) -> Floats:
    """A draw of the width of the gains, (CHAINS,), given the sums of their squares."""
    fits = -gains[:, None] / (2 * noise[:, None] * WIDTHS**2) - contenders * np.log(WIDTHS)
    fits += np.log(WIDTHS / (1 + WIDTHS**2))  # half-Cauchy, on widths that are even on a log scale
    return np.asarray(WIDTHS[(fits + rng.gumbel(size=fits.shape)).argmax(axis=1)])


def _times(matrices: Floats, vectors: Floats) -> Floats:
    return np.asarray((matrices @ vectors[:, :, None])[:, :, 0])
