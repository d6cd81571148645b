"""The noise of simulated runs: neighbouring epochs are correlated."""

import numpy as np

from search.analysis.noise import Floats, factor


def autoregressive(rng: np.random.Generator, phi: float, shape: tuple[int, int]) -> Floats:
    """Stationary AR(1) series of unit variance: (series, length)."""
    series: Floats = rng.standard_normal(shape) @ factor(phi, shape[1])
    return series
