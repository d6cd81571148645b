"""The default sampler: a tree-structured Parzen estimator, Optuna's, with settings of our own."""

from typing import Any

from optuna.samplers import BaseSampler, TPESampler

from search.samplers.draw import SlotDraw


def tpe(draw: SlotDraw, **options: Any) -> BaseSampler:
    """TPE over all parameters jointly; where conditions make branches, over each branch by itself."""
    branches = any(parameter.when for parameter in draw.spec.space.parameters)
    return TPESampler(seed=draw.seed, **{"multivariate": True, "group": branches, **options})
