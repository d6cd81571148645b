"""How large a called difference is: of small true gains only those that look large are called. Pure NumPy.

So the difference of a call is an overestimate (the error of type M of Gelman and Carlin 2014), and so is
the confidence in it, as a small spread also makes a call likelier. What allows for both is the likelihood
given that there was a call (Yekutieli 2012 has the Bayesian form used here):

    L(gain, noise | differences) / P(called | gain / noise),    prior: 1 / noise (Jeffreys)

`P(called)` is the power of the race's looks. The posterior is drawn from that without the denominator,
normal and chi-squared, and weighted. docs/calibration.md has how often its interval holds.
"""

from functools import lru_cache

import numpy as np

from search.analysis.interval import LEVEL
from search.analysis.looks import Floats, Looks, inflation, noise_draws
from search.analysis.paired_seeds import Estimate

DRAWS = 50_000
GAINS = np.array([0.0, *np.geomspace(0.05, 100.0, 48)])  # in units of the noise


def gain_given_call(differences: Floats, looks: Looks, common: float | None = None) -> Estimate:
    """The true difference, given that these differences were called: median and 95 % interval.

    Args:
        differences: by seed, at least two, as they were at the call.
        common: the variance that all contenders have in common, if any.
    """
    if differences.std() <= 1e-12:
        value = float(differences.mean())
        return Estimate(value, value, value, 0.0, float(value > 0))
    rng = np.random.default_rng(0)  # the same race has the same answer
    seeds = len(differences)
    noise = noise_draws(rng, differences, common, DRAWS)
    error = noise * np.sqrt(inflation(seeds, looks.overlap) / seeds)
    gains = differences.mean() + error * rng.standard_normal(DRAWS)
    called = np.interp(np.abs(gains) / noise, GAINS, _power(looks))
    order = gains.argsort()
    below = np.cumsum(1 / called[order])
    low, value, high = (
        float(gains[order][np.searchsorted(below, share * below[-1])])
        for share in ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
    )
    above = float((1 / called)[gains > 0].sum() / below[-1])
    return Estimate(value, low, high, 2 * min(above, 1 - above), above)


@lru_cache(maxsize=16)
def _power(looks: Looks) -> Floats:
    return looks.power(GAINS)
