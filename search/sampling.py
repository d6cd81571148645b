"""What a slot of the budget samples.

- The sampler of a slot is seeded from the study's seed and the slot: workers never draw alike, and a
  restarted one does not repeat itself.
- Known configs take the first slots, without waiting rows in the database, which every worker would
  read again with every epoch.

A new sampler is one function and one entry at the foot of this file.
"""

import hashlib
import math
import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search.plan import Planned
from search.registry import options_at, registered
from search.spec import Spec
from search.study import Study
from storage.leases import Lease, Leases
from storage.samples import Sample, rows_of

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # group, PartialFixed


def ask(study: Study, leases: Leases, lease: Lease) -> dict[str, Any] | None:
    """The params of the lease's trial: constants and samples; None where the lease is lost.

    They are stored as one: asked again, by whomever, the answer is the same.
    """
    planned = study.planned(lease.slot)
    sample = study.samples.of(lease.trial_id) or (
        draw(study, lease) if planned is None else retrained(study, planned)
    )
    if not leases.sampled(lease, rows_of(sample)):
        return None
    constants = {**study.spec.space.constants, **(planned.constants if planned else {})}
    return {**constants, **{name: value for name, (value, _) in sample.items()}}


def draw(study: Study, lease: Lease) -> Sample:
    """A sample for the lease's slot, after all trials there are; stores nothing."""
    others = [trial for trial in study.samples() if trial.number != lease.number]
    # Hyperband's brackets, which its pruner makes, concern the sampler, too.
    pruner = study.optuna.pruner if study.spec.study.pruner.kind == "hyperband" else None
    view = optuna.create_study(
        storage=Memory(others, lease.number),
        sampler=build_sampler(study.spec, lease.slot),
        pruner=pruner,
        study_name=study.name,
        direction=study.spec.study.direction,
    )
    trial = view.ask()
    study.spec.space.suggest(trial)
    return {name: (trial.params[name], trial.distributions[name]) for name in trial.params}


def retrained(study: Study, planned: Planned) -> Sample:
    """The params of a config that is retrained, as a sample."""
    view = optuna.create_study(
        sampler=optuna.samplers.PartialFixedSampler(
            dict(planned.params), optuna.samplers.RandomSampler(seed=planned.seed)
        )
    )
    trial = view.ask()
    study.spec.space.suggest(trial)
    return {name: (trial.params[name], trial.distributions[name]) for name in trial.params}


class Memory(InMemoryStorage):
    """A storage for one trial, `number`, that has `others` before it."""

    def __init__(self, others: Sequence[FrozenTrial], number: int) -> None:
        super().__init__()
        self._others = others
        self._number = number

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        self._get_trial(trial_id).number = self._number
        return trial_id

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        chosen = [trial for trial in self._others if states is None or trial.state in states]
        return [*chosen, *super().get_all_trials(study_id, deepcopy, states)]


def build_sampler(spec: Spec, slot: int) -> BaseSampler:
    """The sampler of one slot; around it, for the first slots, the known config that is tried there."""
    settings = spec.study.sampler
    build = registered("sampler", settings.kind, SAMPLERS, spec)
    with options_at(spec, "sampler"):
        sampler = build(spec, slot, dict(settings.options))
    if slot < len(spec.known):
        return optuna.samplers.PartialFixedSampler(dict(spec.known[slot].params), sampler)
    return sampler


def rehearse(spec: Spec) -> None:
    """Samples once in memory: Optuna looks at some options only when it uses them."""
    with options_at(spec, "sampler"):
        study = optuna.create_study(sampler=build_sampler(spec, slot=len(spec.known)))
        spec.space.suggest(study.ask())


def slot_seed(seed: int, slot: int) -> int:
    """A seed of 32 bits that no other slot of any study with another seed shares but by chance."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{slot}".encode()).digest()[:4])


def _tpe(spec: Spec, slot: int, options: dict[str, Any]) -> BaseSampler:
    """Jointly over all parameters; over each branch apart where conditions make branches."""
    branches = any(parameter.when for parameter in spec.space.parameters)
    chosen = {"multivariate": True, "group": branches, **options}
    return optuna.samplers.TPESampler(seed=slot_seed(spec.study.sampler.seed, slot), **chosen)


def _random(spec: Spec, slot: int, options: dict[str, Any]) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=slot_seed(spec.study.sampler.seed, slot), **options)


def _qmc(spec: Spec, slot: int, options: dict[str, Any]) -> BaseSampler:
    return SobolSampler(
        [parameter.name for parameter in spec.space.parameters], slot, spec.study.sampler.seed, **options
    )


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


SAMPLERS: Mapping[str, Callable[[Spec, int, dict[str, Any]], BaseSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "qmc": _qmc,
}
