"""The samplers that `study.sampler.kind` in space.yaml can name.

A new sampler is one class or function and one entry here. It is called with a `SlotDraw`, and the options
beside `kind` and `seed` are its keyword-only parameters; it raises TypeError or ValueError for options it
cannot use together. It is built anew for every draw, and what it has to remember it finds in the trials of
the study it is given.
"""

from collections.abc import Callable, Mapping
from typing import Annotated

from annotated_types import Ge
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler

from search.samplers.draw import SlotDraw
from search.samplers.gp import WholeTrialsGP
from search.samplers.sobol import SobolSampler
from search.spec.registry import build
from search.spec.spec import Spec


def tpe(
    draw: SlotDraw,
    *,
    n_startup_trials: Annotated[int, Ge(0)] = 10,
    n_ei_candidates: Annotated[int, Ge(1)] = 24,
    multivariate: bool = True,
    group: bool | None = None,
    constant_liar: bool = True,
) -> BaseSampler:
    """TPE over all parameters jointly; where conditions make branches, over each branch by itself.

    Args:
        n_startup_trials: random configs before it learns, 0 or more.
        n_ei_candidates: how many it draws to take the most promising, 1 or more.
        multivariate: parameters are drawn jointly, not one by one.
        group: each branch of conditional parameters by itself; null: where conditions make branches.
        constant_liar: running trials count as poor ones, so that workers draw apart from each other.
    """
    branches = any(parameter.when for parameter in draw.spec.space.parameters)
    return TPESampler(
        seed=draw.seed,
        n_startup_trials=n_startup_trials,
        n_ei_candidates=n_ei_candidates,
        multivariate=multivariate,
        group=branches if group is None else group,
        constant_liar=constant_liar,
    )


def uniform(draw: SlotDraw) -> BaseSampler:
    """Independent draws, uniform in each parameter (on its log scale where it has one)."""
    return RandomSampler(seed=draw.seed)


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
