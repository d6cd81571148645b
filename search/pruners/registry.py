"""The pruners that `study.pruner.kind` in space.yaml can name.

A new pruner is one class or function and one entry here. It is called with the spec and the options
beside `kind`, and raises TypeError or ValueError for options it cannot use.
"""

from collections.abc import Callable, Mapping
from functools import partial

from optuna.pruners import PercentilePruner, SuccessiveHalvingPruner

from search.pruners.median import MedianPruner
from search.pruners.optuna_pruners import OptunaPruner, hyperband
from search.pruners.pruner import NoPruner, Pruner
from search.spec.registry import build
from search.spec.spec import Spec

PRUNERS: Mapping[str, Callable[..., Pruner]] = {
    "median": MedianPruner,
    "percentile": partial(OptunaPruner, PercentilePruner),
    "successive_halving": partial(OptunaPruner, SuccessiveHalvingPruner),
    "hyperband": hyperband,
    "none": NoPruner,
}


def build_pruner(spec: Spec) -> Pruner:
    """The study's pruner; raises SpaceError for an unknown kind or options that it refuses."""
    return build("pruner", PRUNERS, spec, spec)
