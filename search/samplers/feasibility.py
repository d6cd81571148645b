"""Which configs a study may train: its constraints, asked once about each config.

An infeasible draw is kept and shown to the sampler with Optuna's constraint attributes, as a pruned trial
without a score. It is no trial of the study and uses none of its budget.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from search.analysis.pruning_audit import Rate, wilson
from search.errors import SpaceError
from search.objective import NOTHING, Constraint, Params
from search.samplers.draw import slot_seed
from search.spec.grid import configs, point
from search.spec.space import Space
from search.spec.spec import Spec
from storage.constraints import CheckedConfig

KEPT = 1000  # infeasible configs; by then a sampler knows where the limit is, and each makes it slower
DRAWS = 200  # configs that `feasible_share` holds against the constraints, at most

Constraints = Callable[[Params], Sequence[Constraint]]
"""(whole params) -> the constraints of that config; none where the study has none."""


def unconstrained(params: Params) -> Sequence[Constraint]:
    """The constraints of a study without any."""
    return ()


class Feasibility:
    """What the constraints say about the configs of a space.

    Attributes:
        checked: by name, what is known so far. new: the part of it that is not stored yet.
        limit: the constraint by which the last infeasible config was refused. reason: why.
    """

    def __init__(
        self,
        space: Space,
        constraints: Constraints = unconstrained,
        stored: Mapping[str, CheckedConfig] = NOTHING,
    ) -> None:
        self._space = space
        self._constraints = constraints
        self.checked = dict(stored)
        self.new: dict[str, CheckedConfig] = {}
        self.limit = ""
        self.reason = ""

    @property
    def infeasible(self) -> list[CheckedConfig]:
        return [config for config in self.checked.values() if not config.feasible]

    def of(self, params: Params) -> CheckedConfig:
        """What the constraints say about a config without its constants.

        One that the objective cannot configure counts as feasible: its trial fails and says why.
        """
        name = point(self._space, params)
        if name in self.checked:
            return self.checked[name]
        try:
            found = self._constraints({**self._space.constants, **params})
        except SpaceError:
            return CheckedConfig(name, params, {})
        if not found:
            self._constraints = unconstrained  # every config of a study has the same constraints
        config = CheckedConfig(name, dict(params), {each.name: each.violation for each in found})
        if not config.feasible:
            self.limit, self.reason = next((each.name, each.text) for each in found if each.violation > 0)
        if found and (config.feasible or len(self.infeasible) < KEPT):
            self.checked[name] = self.new[name] = config
        return config

    def shown(self, trial: FrozenTrial) -> FrozenTrial:
        """The trial with its violations where a sampler of Optuna's looks for them."""
        violations = self.of(trial.params).violations if trial.params else {}
        return with_violations(trial, violations) if violations else trial


def with_violations(trial: FrozenTrial, violations: Mapping[str, float]) -> FrozenTrial:
    """A copy of the trial with these violations by constraint."""
    other = copy(trial)
    other.system_attrs = {}
    for name, violation in violations.items():
        other.set_constraint(name, violation)
    return other


@dataclass(frozen=True, slots=True)
class FeasibleShare:
    """How many of some configs are feasible.

    Attributes:
        whole: whether these are all configs of the space, so that the share is exact; else they are uniform
            draws, and the interval is Wilson's.
        reason: why the last infeasible one is infeasible; empty if none is.
    """

    rate: Rate
    whole: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """The object under `feasible` of `search check --json`."""
        return {**asdict(self.rate), "share": self.rate.share, "whole": self.whole}


def feasible_share(spec: Spec, constraints: Constraints) -> FeasibleShare:
    """Holds all configs of a small space against the constraints, or `DRAWS` uniform draws."""
    listed = list(islice(configs(spec.space), DRAWS + 1))
    whole = 0 < len(listed) <= DRAWS
    feasibility = Feasibility(spec.space, constraints)
    feasible = [feasibility.of(params).feasible for params in (listed if whole else uniform_draws(spec))]
    rate = wilson(sum(feasible), len(feasible))
    if whole:
        rate = replace(rate, low=rate.share, high=rate.share)
    return FeasibleShare(rate, whole, feasibility.reason)


def check_feasible(spec: Spec, constraints: Constraints) -> None:
    """Raises SpaceError where a limit is searched, or a known config or the whole space is infeasible."""
    _check_limits(spec.space, constraints)
    feasibility = Feasibility(spec.space, constraints)
    for known in spec.known:
        if not feasibility.of(known.params).feasible:
            text = f"known config {known.name!r}: {feasibility.reason}"
            raise SpaceError(text, parameter=feasibility.limit)
    names = spec.space.by_name
    corners = ({name: corner[name] for name in corner if name in names} for corner in spec.space.corners())
    if spec.known or any(feasibility.of(corner).feasible for corner in corners):
        return
    share = feasible_share(spec, constraints)
    if not share.rate.count:
        which = f"{share.rate.trials} {'configs' if share.whole else 'draws'}"
        raise SpaceError(f"none of {which} is feasible: {share.reason}", parameter=feasibility.limit)


def _check_limits(space: Space, constraints: Constraints) -> None:
    """Raises SpaceError where the space searches a setting that limits which configs there are.

    A limit changes nothing about a training, and configs below different ones cannot be compared.
    """
    for corner in space.corners():
        for name in [each.name for each in constraints(corner) if each.name in space.by_name]:
            raise SpaceError(
                f"{name}: limits which configs are drawn, so it cannot be searched; give one value",
                parameter=name,
            )


def uniform_draws(spec: Spec) -> list[Params]:
    """`DRAWS` configs, drawn uniformly in each parameter, without the constants."""
    study = optuna.create_study(sampler=RandomSampler(seed=slot_seed(spec.study.sampler.seed, 0)))
    drawn: list[Params] = []
    for _ in range(DRAWS):
        trial = study.ask()
        spec.space.suggest(trial)
        drawn.append(trial.params)
    return drawn
