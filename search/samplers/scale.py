"""The unit interval stretched over a distribution's values."""

import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


def value_at(distribution: BaseDistribution, share: float) -> Any:
    """The value at `share` (0 <= share < 1) of a distribution, counted along its own scale."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(share * len(distribution.choices))]
    if isinstance(distribution, IntDistribution) and not distribution.log:
        steps = (distribution.high - distribution.low) // distribution.step + 1
        return distribution.low + distribution.step * int(share * steps)
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        raise TypeError(f"no scale for {type(distribution).__name__}")
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return round(value) if isinstance(distribution, IntDistribution) else min(max(value, low), high)
    if distribution.step is not None:
        steps = round((high - low) / distribution.step) + 1
        return min(low + distribution.step * int(share * steps), high)
    return low + share * (high - low)
