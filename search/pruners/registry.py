"""The pruners that `study.pruner.kind` in space.yaml can name.

A new pruner is one class or function and one entry here. It is called with the spec, and the options
beside `kind` are its keyword-only parameters; it raises TypeError or ValueError for options it cannot use
together.
"""

from collections.abc import Callable, Mapping

from search.pruners.median import MedianPruner
from search.pruners.optuna_pruners import hyperband, percentile, successive_halving
from search.pruners.pruner import NoPruner, Pruner
from search.spec.registry import build
from search.spec.spec import Spec

PRUNERS: Mapping[str, Callable[..., Pruner]] = {
    "median": MedianPruner,
    "percentile": percentile,
    "successive_halving": successive_halving,
    "hyperband": hyperband,
    "none": NoPruner,
}


def build_pruner(spec: Spec) -> Pruner:
    """The study's pruner; raises SpaceError for an unknown kind or options that it refuses."""
    return build("pruner", PRUNERS, spec, spec)
