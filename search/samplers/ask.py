"""What a slot of the budget trains: a config that was never drawn before, and a seed.

- A config is drawn in memory, from the trials before it, and stored whole: whoever asks again for the same
  trial gets the same config.
- No point is drawn twice. Before it is stored it is compared with all that were drawn, by the database as
  well, because two workers may draw at once. A sampler that comes back to a point sees it as a running
  trial; if it keeps coming back, a uniform draw takes over, and in the end a list of what is left.
- No infeasible config is trained (`search.samplers.feasibility`): the slot draws again, and the sampler is
  shown what was refused.
- Where nothing is left, the budget goes into what is worth knowing then: the best configs again, in turn,
  each with another seed. That is recorded (`repeat_of`), and such a trial is never the best.
"""

from copy import copy
from dataclasses import dataclass
from itertools import islice

from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from search.objective import Params
from search.samplers.choose import (
    DrawHistory,
    choose,
    infeasible_trial,
    next_number,
    propose,
    sample_of,
    trial_of,
)
from search.samplers.feasibility import Constraints, Feasibility, unconstrained
from search.samplers.registry import build_sampler
from search.spec.grid import point
from search.spec.registry import options_located
from search.spec.settings import hashed_seed
from search.spec.spec import Spec
from search.study.optuna_view import distributions
from search.study.study import Study
from storage.claims import Lease
from storage.leases import Leases
from storage.samples import frozen, rows_of


@dataclass(frozen=True)
class Task:
    """What a trial trains: params, constants included, and the seed."""

    params: Params
    seed: int


def ask(
    study: Study,
    leases: Leases,
    lease: Lease,
    pruner: BasePruner | None = None,
    constraints: Constraints = unconstrained,
) -> Task | None:
    """What the lease's trial trains, the same whoever asks and however often; None: the lease is lost.

    Args:
        pruner: `Pruner.for_sampler` of the study's pruner.
        constraints: the objective's, for whole params.

    Raises:
        NoFeasibleConfig: all that is drawn is infeasible; the trial has no config then.
    """
    spec = study.spec
    planned = study.planned(lease.slot)
    constants = {**spec.space.constants, **(planned.constants if planned else {})}
    seed = planned.seed if planned else spec.study.seed_of(lease.slot)
    if stored := study.samples.of(lease.trial_id):
        params = {name: value for name, (value, _) in stored.items()}
        task = Task({**constants, **params}, study.samples.seed(lease.trial_id, seed))
        return task if leases.renew(lease) else None
    if planned:
        answer = leases.sampled(lease, rows_of(sample_of(spec, planned.params)), None)
        return Task({**constants, **planned.params}, seed) if answer == "stored" else None
    while True:
        history = history_of(study, lease, pruner, constraints)
        draw = choose(spec, lease.slot, history)
        task = Task({**constants, **draw.params}, repeat_seed(seed, draw.repeat) if draw.repeat else seed)
        attributes = {"repeat_of": draw.of, "seed": task.seed} if draw.repeat else {}
        rows = rows_of(sample_of(spec, draw.params))
        checked = history.feasibility.new.values() if history.feasibility else ()
        answer = leases.sampled(lease, rows, draw.point, draw.repeat, attributes, checked)
        if answer != "taken":  # else another worker drew the same point a moment before
            return task if answer == "stored" else None


def history_of(
    study: Study, lease: Lease, pruner: BasePruner | None = None, constraints: Constraints = unconstrained
) -> DrawHistory:
    """What is known when the lease's trial draws."""
    spec = study.spec
    own = [trial for trial in study.samples() if trial.number != lease.number]
    inherited = inherited_trials(study)
    taken = study.samples.points()
    for trial in own:
        if trial.params:
            taken.setdefault(point(spec.space, trial.params), [trial.number])
    for slot, known in enumerate(spec.known):
        if slot != lease.slot:
            taken.setdefault(point(spec.space, known.params), [slot])
    for trial in inherited:
        taken.setdefault(point(spec.space, trial.params), [])
    # Optuna's samplers look for new trials by number from 0 on, so the inherited ones come first.
    others = [*inherited, *(renumbered(trial, len(inherited)) for trial in own)]
    number = lease.number + len(inherited)
    feasibility = Feasibility(spec.space, constraints, study.samples.checked())
    others = [feasibility.shown(trial) for trial in others]
    for config in feasibility.infeasible:
        others.append(infeasible_trial(spec, next_number(number, others), config))
    return DrawHistory(others, number, taken, study.name, pruner, feasibility)


def inherited_trials(study: Study) -> list[FrozenTrial]:
    """The trials of the study that this one was started from, numbered from 0."""
    if study.origin is None:
        return []
    known = distributions(study.spec.space.parameters)
    trials = []
    for number, trial in enumerate(study.origin.trials):
        sample = {name: (value, known[name]) for name, value in trial.params.items()}
        trials.append(frozen(number, TrialState[trial.state], trial.value, sample, trial.epochs))
    return trials


def renumbered(trial: FrozenTrial, shift: int) -> FrozenTrial:
    """The trial with `shift` added to its number."""
    if not shift:
        return trial
    other = copy(trial)
    other.number += shift
    return other


def repeat_seed(seed: int, repeat: int) -> int:
    """The seed (0 to 2**32 - 1) of a config's second, third, ... run: `repeat` is 1, 2, ..."""
    return hashed_seed(f"{seed} repeat {repeat}")


def rehearse(spec: Spec) -> None:
    """Draw once in memory: Optuna checks some options only when it uses them."""
    corners = [
        {name: value for name, value in corner.items() if name in spec.space.by_name}
        for corner in islice(spec.space.corners(), 2)
    ]
    trials = [trial_of(spec, number, params, 0.0) for number, params in enumerate(corners)]
    with options_located(spec, "sampler"):
        propose(spec, build_sampler(spec, slot=len(spec.known)), DrawHistory(trials, len(trials), {}))
