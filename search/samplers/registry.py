"""The samplers that space.yaml can name, each of one slot.

- The sampler of a slot is seeded from the study's seed and the slot: workers never draw alike, and a
  restarted one does not repeat itself.
- Known configs take the first slots, without waiting rows in the database, which every worker would
  read again with every epoch.

A new sampler is one function and one entry at the foot of this file.
"""

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from search.scoring import sign_of
from search.spec.registry import options_at, registered
from search.spec.spec import Spec
from search.study.optuna_view import distributions
from storage.samples import frozen

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # group, PartialFixed


def build_sampler(spec: Spec, slot: int, attempt: int = 0) -> BaseSampler:
    """The sampler of one slot; around it, for the first slots, the known config that is tried there.

    Another `attempt` draws something else.
    """
    settings = spec.study.sampler
    build = registered("sampler", settings.kind, SAMPLERS, spec)
    with options_at(spec, "sampler"):
        sampler = build(spec, slot, attempt, dict(settings.options))
    if slot < len(spec.known):
        return optuna.samplers.PartialFixedSampler(dict(spec.known[slot].params), sampler)
    return sampler


def seen(spec: Spec, trials: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
    """The trials as the study's sampler can make use of them."""
    view = VIEWS.get(spec.study.sampler.kind)
    return view(spec, trials) if view else trials


def slot_seed(seed: int, slot: int, attempt: int = 0) -> int:
    """A seed of 32 bits that no other slot of any study with another seed shares but by chance."""
    name = f"{seed}:{slot}:{attempt}" if attempt else f"{seed}:{slot}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])


def _tpe(spec: Spec, slot: int, attempt: int, options: dict[str, Any]) -> BaseSampler:
    """Jointly over all parameters; over each branch apart where conditions make branches."""
    branches = any(parameter.when for parameter in spec.space.parameters)
    chosen = {"multivariate": True, "group": branches, **options}
    return optuna.samplers.TPESampler(seed=slot_seed(spec.study.sampler.seed, slot, attempt), **chosen)


def _gp(spec: Spec, slot: int, attempt: int, options: dict[str, Any]) -> BaseSampler:
    """A Gaussian process, for small budgets: 0.1 s a draw after 100 trials, half a minute after 2000."""
    chosen = {"warn_independent_sampling": False, **options}
    return optuna.samplers.GPSampler(seed=slot_seed(spec.study.sampler.seed, slot, attempt), **chosen)


def whole(spec: Spec, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that all have a value and all parameters: Optuna's GP makes nothing of any others.

    - A pruned trial has its last score, but none below the worst that ran to its end: how far it would
      have come nobody knows, and one short curve must not be the scale of all.
    - What does not exist beside the other parameters is taken to be in the middle of its range.
    """
    sign = sign_of(spec.study.direction)
    complete = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
    ended = [sign * value for value in complete if value is not None]
    middle = {name: (at_share(d, 0.5), d) for name, d in distributions(spec.space.parameters).items()}
    views = []
    for trial in trials:
        value = trial.value
        if trial.state == TrialState.PRUNED and ended and value is not None:
            value = sign * max(sign * value, min(ended))
        state = TrialState.RUNNING if trial.state == TrialState.RUNNING else TrialState.COMPLETE
        if not trial.params or (state == TrialState.COMPLETE and value is None):
            continue
        sample = {name: (trial.params.get(name, usual), d) for name, (usual, d) in middle.items()}
        views.append(frozen(trial.number, state, value, sample))
    return views


def _random(spec: Spec, slot: int, attempt: int, options: dict[str, Any]) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=slot_seed(spec.study.sampler.seed, slot, attempt), **options)


def _qmc(spec: Spec, slot: int, attempt: int, options: dict[str, Any]) -> BaseSampler:
    """Of a redraw the same point of another sequence."""
    seed = spec.study.sampler.seed
    sequence = slot_seed(seed, 0, attempt) if attempt else seed
    return SobolSampler([parameter.name for parameter in spec.space.parameters], slot, sequence, **options)


class SobolSampler(BaseSampler):
    """Point `slot` of one scrambled Sobol sequence, whichever worker asks.

    Optuna's QMCSampler counts its points in a study attribute that two workers can read at once, and
    leaves out conditional parameters; a slot is its own counter, and has a coordinate for every name.
    """

    def __init__(self, names: Sequence[str], slot: int, seed: int, scramble: bool = True) -> None:
        from scipy.stats import qmc  # two seconds of every other worker's start, were it above

        sequence = qmc.Sobol(d=len(names), scramble=scramble, seed=seed)
        if slot:
            sequence.fast_forward(slot)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a power of two at a time would balance better
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
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return at_share(param_distribution, float(self._point[param_name]))


def at_share(distribution: BaseDistribution, share: float) -> Any:
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


SAMPLERS: Mapping[str, Callable[[Spec, int, int, dict[str, Any]], BaseSampler]] = {
    "tpe": _tpe,
    "gp": _gp,
    "random": _random,
    "qmc": _qmc,
}
"""Each is given the spec, the slot, the attempt and the sampler's options."""

VIEWS: Mapping[str, Callable[[Spec, Sequence[FrozenTrial]], Sequence[FrozenTrial]]] = {"gp": whole}
"""For samplers that make nothing of trials as they are."""
