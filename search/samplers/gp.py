"""A Gaussian process, for small budgets: 0.1 s a draw after 100 trials, half a minute after 2000."""

from collections.abc import Sequence
from statistics import fmean
from typing import Annotated, cast

import optuna
from annotated_types import Ge
from optuna.samplers import GPSampler
from optuna.trial import FrozenTrial, TrialState

from search.samplers.draw import SlotDraw
from search.samplers.feasibility import with_violations
from search.samplers.sobol import value_at
from search.scoring import sign_of
from search.spec.spec import Spec
from search.study.optuna_view import Memory, distributions
from storage.samples import frozen


class WholeTrialsGP(GPSampler):
    """Optuna's GP, shown all trials as whole ones.

    By itself it leaves out every trial that was pruned, and models only the parameters that exist in
    all others.

    Args:
        n_startup_trials: random configs before it learns, 0 or more.
        deterministic_objective: a config that is trained again gets the same value.
    """

    def __init__(
        self,
        draw: SlotDraw,
        *,
        n_startup_trials: Annotated[int, Ge(0)] = 10,
        deterministic_objective: bool = False,
    ) -> None:
        super().__init__(
            seed=draw.seed,
            n_startup_trials=n_startup_trials,
            deterministic_objective=deterministic_objective,
            warn_independent_sampling=False,
        )
        self._spec = draw.spec

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        super().before_trial(study, trial)
        memory = cast(Memory, study._storage)  # made for this one draw
        memory.others = whole_trials(self._spec, memory.others)


def whole_trials(spec: Spec, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that all have a value and all parameters.

    - A pruned trial has its last score, but none below the worst that ran to its end: how far it would
      have come nobody knows, and one short curve must not set the scale of all.
    - An infeasible config has the mean of those that ran to their end, which says nothing about it: the GP
      learns from its constraints where it must not draw.
    - A parameter that does not exist beside the others is taken to be in the middle of its range.
    """
    sign = sign_of(spec.study.direction)
    complete = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
    ended = [sign * value for value in complete if value is not None]
    middle = {name: (value_at(d, 0.5), d) for name, d in distributions(spec.space.parameters).items()}
    views = []
    for trial in trials:
        value = trial.value
        if trial.state == TrialState.PRUNED and ended and value is not None:
            value = sign * max(sign * value, min(ended))
        if value is None and any(violation > 0 for violation in trial.constraints.values()):
            value = sign * fmean(ended or [0.0])
        state = TrialState.RUNNING if trial.state == TrialState.RUNNING else TrialState.COMPLETE
        if not trial.params or (state == TrialState.COMPLETE and value is None):
            continue
        sample = {name: (trial.params.get(name, usual), d) for name, (usual, d) in middle.items()}
        view = frozen(trial.number, state, value, sample)
        views.append(with_violations(view, trial.constraints))
    return views
