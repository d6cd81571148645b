"""How probable it is that a contender is better than the baseline: a posterior, with its prior. Pure NumPy.

Prior: the true differences of all contenders from the baseline are normal around 0, better or worse being
equally likely. How wide they are is learnt from the contenders themselves: every width from a tenth to ten
times the noise of one difference is equally likely on a logarithmic scale (a hierarchical model: Gelman et
al. 2013, chapter 5). So the best of several equal contenders is drawn towards 0 by the others, and picking
it needs no further correction. Given the difference, the scores say Student's t, with the contender's own
spread integrated out (Jeffreys' prior).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.looks import Floats

WIDTHS = np.geomspace(0.1, 10.0, 25)  # in units of the noise
GRID = 1601


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


def chances(differences: Sequence[Floats], sign: int, margin: float | None) -> list[Chances | None]:
    """The chances of each contender; None where it shares fewer than two seeds with the baseline.

    Args:
        differences: of each contender from the baseline, by seed.
        sign: 1 where higher scores are better, else -1.
    """
    known = [sign * each for each in differences if len(each) > 1]
    noise = np.sqrt(np.mean([each.var(ddof=1) for each in known])) if known else 0.0
    if noise <= 1e-12:
        return [_certain(sign * each, margin) if len(each) > 1 else None for each in differences]
    reach = max(abs(each.mean()) for each in known) + 10 * noise
    gain = np.linspace(-reach, reach, GRID)
    prior = np.exp(-0.5 * (gain / (noise * WIDTHS[:, None])) ** 2)
    prior /= prior.sum(axis=1, keepdims=True)
    likelihoods = [_likelihood(each, gain) for each in known]
    width = np.prod([prior @ each for each in likelihoods], axis=0)
    posteriors = iter(_posterior(width, prior, each) for each in likelihoods)
    return [_of(next(posteriors), gain, margin) if len(each) > 1 else None for each in differences]


def _likelihood(differences: Floats, gain: Floats) -> Floats:
    """Of the true gain, up to a factor: Student's t, (GRID,)."""
    seeds = len(differences)
    spread = max(float(differences.var()), 1e-24)
    log = -seeds / 2 * np.log1p((gain - differences.mean()) ** 2 / spread)
    return np.asarray(np.exp(log - log.max()))


def _posterior(width: Floats, prior: Floats, likelihood: Floats) -> Floats:
    """Of the true gain, over all widths: (GRID,); each width counts as it explains all contenders."""
    given = prior * likelihood / (prior @ likelihood)[:, None]
    return np.asarray(width @ given / width.sum())


def _of(posterior: Floats, gain: Floats, margin: float | None) -> Chances:
    better = float(posterior[gain > 0].sum() + posterior[gain == 0].sum() / 2)
    if margin is None:
        return Chances(better, None, None)
    same = float(posterior[np.abs(gain) < margin].sum())
    return Chances(better, float(posterior[gain >= margin].sum()), same)


def _certain(differences: Floats, margin: float | None) -> Chances:
    """Where nothing varies."""
    gain = float(differences.mean())
    better = 0.5 if abs(gain) <= 1e-12 else float(gain > 0)
    if margin is None:
        return Chances(better, None, None)
    return Chances(better, float(gain >= margin), float(abs(gain) < margin))
