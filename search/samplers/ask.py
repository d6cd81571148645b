"""What a slot of the budget trains: a config that was never drawn before, and a seed.

- A config is drawn in memory, from the trials before it, and stored whole: whoever asks again for the same
  trial gets the same config.
- No point is drawn twice. Before it is stored it is compared with all that were drawn, by the database as
  well, because two workers may draw at once. A sampler that comes back to a point sees it as a running
  trial; if it keeps coming back, a uniform draw takes over, and in the end a list of what is left.
- Where nothing is left, the budget goes into what is worth knowing then: the best configs again, in turn,
  each with another seed. That is recorded (`repeat_of`), and such a trial is never the best.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from search.objective import Params
from search.samplers.draw import slot_seed
from search.samplers.registry import build_sampler
from search.scoring import sign_of
from search.spec.grid import configs, point
from search.spec.registry import options_located
from search.spec.spec import Spec
from search.study.optuna_view import Memory, distributions
from search.study.study import Study
from storage.claims import Lease
from storage.leases import Leases
from storage.samples import Sample, frozen, rows_of

REDRAWS = 8  # draws of the sampler that may be points drawn before
UNIFORM = 64  # uniform draws after that; if all of them are taken, few points are left
REPEATED = 5  # how many of the best configs are trained again where nothing is left


@dataclass(frozen=True)
class Task:
    """What a trial trains: params, constants included, and the seed."""

    params: Params
    seed: int


@dataclass(frozen=True)
class Draw:
    """A config for a slot.

    Attributes:
        params: without the constants.
        point: the config's name.
        repeat: how often it was drawn before.
        of: the trial that had it first.
    """

    params: Params
    point: str
    repeat: int = 0
    of: int | None = None


@dataclass(frozen=True)
class DrawHistory:
    """What is known when a trial draws its config.

    Attributes:
        trials: all others that have not failed, after those of the study that this one was started from.
        number: of the trial that draws, counted among these.
        taken: the numbers of the trials that have drawn a point, by its name; the first one first.
        study_name: Hyperband makes its brackets from it.
        pruner: the one that the sampler must know about (`Pruner.for_sampler`).
    """

    trials: Sequence[FrozenTrial]
    number: int
    taken: Mapping[str, Sequence[int]]
    study_name: str = "study"
    pruner: BasePruner | None = None


def ask(study: Study, leases: Leases, lease: Lease, pruner: BasePruner | None = None) -> Task | None:
    """What the lease's trial trains, the same whoever asks and however often; None: the lease is lost.

    Args:
        pruner: `Pruner.for_sampler` of the study's pruner.
    """
    spec = study.spec
    planned = study.planned(lease.slot)
    constants = {**spec.space.constants, **(planned.constants if planned else {})}
    seed = planned.seed if planned else spec.study.sampler.seed
    if stored := study.samples.of(lease.trial_id):
        params = {name: value for name, (value, _) in stored.items()}
        task = Task({**constants, **params}, study.samples.seed(lease.trial_id, seed))
        return task if leases.renew(lease) else None
    if planned:
        answer = leases.sampled(lease, rows_of(sample_of(spec, planned.params)), None)
        return Task({**constants, **planned.params}, seed) if answer == "stored" else None
    while True:
        draw = choose(spec, lease.slot, history_of(study, lease, pruner))
        task = Task({**constants, **draw.params}, repeat_seed(seed, draw.repeat) if draw.repeat else seed)
        attributes = {"repeat_of": draw.of, "seed": task.seed} if draw.repeat else {}
        rows = rows_of(sample_of(spec, draw.params))
        answer = leases.sampled(lease, rows, draw.point, draw.repeat, attributes)
        if answer != "taken":  # else another worker drew the same point a moment before
            return task if answer == "stored" else None


def history_of(study: Study, lease: Lease, pruner: BasePruner | None = None) -> DrawHistory:
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
    return DrawHistory(others, lease.number + len(inherited), taken, study.name, pruner)


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


def choose(spec: Spec, slot: int, history: DrawHistory) -> Draw:
    """What a slot trains: its known config, a point that no trial has, or one of the best again."""
    params: Params = {}
    for params in proposals(spec, slot, history):
        name = point(spec.space, params)
        if name not in history.taken:
            return Draw(params, name)
        if slot < len(spec.known):
            return _repeat(history, name, params)
    # With n points taken, any n + 1 configs hold a free one. Listing four times as many keeps the choice
    # from always falling on the first configs of the list.
    listed = islice(configs(spec.space), 4 * len(history.taken) + UNIFORM)
    left = [params for params in listed if point(spec.space, params) not in history.taken]
    if left:
        params = random.Random(slot_seed(spec.study.sampler.seed, slot)).choice(left)
        return Draw(params, point(spec.space, params))
    sign = sign_of(spec.study.direction)
    complete = [trial for trial in history.trials if trial.state == TrialState.COMPLETE]
    ranked = sorted(complete, key=lambda trial: -sign * (trial.value or 0.0))
    best = {point(spec.space, trial.params): trial.params for trial in ranked}  # by the best run of each
    names = list(best)[:REPEATED] or [point(spec.space, params)]
    name = min(names, key=lambda name: len(history.taken.get(name, ())))
    return _repeat(history, name, best.get(name, params))


def _repeat(history: DrawHistory, name: str, params: Params) -> Draw:
    numbers = history.taken.get(name, ())
    return Draw(params, name, len(numbers), numbers[0] if numbers else None)


def proposals(spec: Spec, slot: int, history: DrawHistory) -> Iterator[Params]:
    """What the study's sampler draws, again and again until the caller takes one; then uniform draws."""
    trials = list(history.trials)
    for redraw in range(REDRAWS):
        params = propose(spec, build_sampler(spec, slot, redraw), replace(history, trials=trials))
        yield params
        number = 1 + max([history.number, *(trial.number for trial in trials)])
        trials.append(trial_of(spec, number, params))
    for redraw in range(REDRAWS, REDRAWS + UNIFORM):
        uniform = RandomSampler(seed=slot_seed(spec.study.sampler.seed, slot, redraw))
        yield propose(spec, uniform, history)


def propose(spec: Spec, sampler: BaseSampler, history: DrawHistory) -> Params:
    """What `sampler` draws, without the constants."""
    view = optuna.create_study(
        storage=Memory(history.trials, history.number),
        sampler=sampler,
        pruner=history.pruner,
        study_name=history.study_name,
        direction=spec.study.direction,
    )
    trial = view.ask()
    spec.space.suggest(trial)
    return trial.params


def sample_of(spec: Spec, params: Params) -> Sample:
    """A config with its distributions."""
    trial = FixedTrial(dict(params))
    spec.space.suggest(trial)
    return {name: (value, trial.distributions[name]) for name, value in trial.params.items()}


def trial_of(spec: Spec, number: int, params: Params, value: float | None = None) -> FrozenTrial:
    """A trial with this config, complete where it has a value, else running."""
    state = TrialState.RUNNING if value is None else TrialState.COMPLETE
    return frozen(number, state, value, sample_of(spec, params))


def repeat_seed(seed: int, repeat: int) -> int:
    """The seed (0 to 2**32 - 1) of a config's second, third, ... run: `repeat` is 1, 2, ..."""
    return int.from_bytes(hashlib.sha256(f"{seed} repeat {repeat}".encode()).digest()[:4])


def rehearse(spec: Spec) -> None:
    """Draw once in memory: Optuna checks some options only when it uses them."""
    corners = [
        {name: value for name, value in corner.items() if name in spec.space.by_name}
        for corner in islice(spec.space.corners(), 2)
    ]
    trials = [trial_of(spec, number, params, 0.0) for number, params in enumerate(corners)]
    with options_located(spec, "sampler"):
        propose(spec, build_sampler(spec, slot=len(spec.known)), DrawHistory(trials, len(trials), {}))
