"""Quasi-random draws, which cover the space more evenly than uniform ones."""

import math
import warnings
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from search.samplers.draw import SlotDraw, slot_seed


class SobolSampler(BaseSampler):
    """Point `slot` of one scrambled Sobol sequence, whichever worker asks.

    Optuna's QMCSampler counts its points in a study attribute that two workers can read at once, and
    leaves out conditional parameters. Here the slot is the counter, and every parameter has a coordinate,
    whether or not it exists in this config. A redraw takes the same point of another sequence.

    Args:
        scramble: the sequence is a random one, by the seed.
    """

    def __init__(self, draw: SlotDraw, *, scramble: bool = True) -> None:
        from scipy.stats import qmc  # takes two seconds to import, which other samplers do not need

        names = [parameter.name for parameter in draw.spec.space.parameters]
        seed = draw.spec.study.sampler.seed
        seed = slot_seed(seed, 0, draw.redraw) if draw.redraw else seed
        sequence = qmc.Sobol(d=len(names), scramble=scramble, seed=seed)
        if draw.slot:
            sequence.fast_forward(draw.slot)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy asks for a power of two of points at a time
            self._point = dict(zip(names, sequence.random(1)[0], strict=True))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return value_at(param_distribution, float(self._point[param_name]))


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
