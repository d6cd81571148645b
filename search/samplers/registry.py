"""The samplers that `study.sampler.kind` in space.yaml can name.

A new sampler is one class or function and one entry here. It is called with a `SlotDraw` and the
options beside `kind` and `seed`, and raises TypeError or ValueError for options it cannot use. It is
built anew for every draw, and what it has to remember it finds in the trials of the study it is given.
"""

from collections.abc import Callable, Mapping
from typing import Any

from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler

from search.samplers.draw import SlotDraw
from search.samplers.gp import WholeTrialsGP
from search.samplers.sobol import SobolSampler
from search.spec.registry import build
from search.spec.spec import Spec


def tpe(draw: SlotDraw, **options: Any) -> BaseSampler:
    """TPE over all parameters jointly; where conditions make branches, over each branch by itself."""
    branches = any(parameter.when for parameter in draw.spec.space.parameters)
    return TPESampler(seed=draw.seed, **{"multivariate": True, "group": branches, **options})


def uniform(draw: SlotDraw, **options: Any) -> BaseSampler:
    """Independent draws, uniform in each parameter (on its log scale where it has one)."""
    return RandomSampler(seed=draw.seed, **options)


SAMPLERS: Mapping[str, Callable[..., BaseSampler]] = {
    "tpe": tpe,
    "gp": WholeTrialsGP,
    "random": uniform,
    "qmc": SobolSampler,
}


def build_sampler(spec: Spec, slot: int, redraw: int = 0) -> BaseSampler:
    """The sampler for a draw; the first slots have it fixed to the known config that is tried there.

    Known configs are no waiting trials in the database, which every worker would read again at every
    epoch. Raises SpaceError for an unknown kind or options that it refuses.
    """
    sampler = build("sampler", SAMPLERS, spec, SlotDraw(spec, slot, redraw))
    if slot < len(spec.known):
        return PartialFixedSampler(dict(spec.known[slot].params), sampler)
    return sampler
