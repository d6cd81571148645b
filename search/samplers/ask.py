"""What a slot of the budget trains: a config that was never drawn before, and a seed.

- A config is drawn in memory, after the trials before it, and stored whole: whoever asks again has the
  same.
- No point is drawn twice. Before it is stored it is held against all that were drawn, by the database as
  well, where two workers may draw at once. A sampler that comes back to a point is told that somebody
  tries it; one that stays there is overruled by a uniform draw, in the end by a list of what is left.
- Where nothing is left, the budget is spent on what is worth knowing then: the best configs once more, by
  turns, each with another seed. That is recorded (`repeat_of`), and such a trial is never the best.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from search.objective import Params
from search.samplers.registry import build_sampler, seen, slot_seed
from search.scoring import sign_of
from search.spec.grid import configs, point
from search.spec.registry import options_at
from search.spec.spec import Spec
from search.study.optuna_view import Memory, distributions
from search.study.study import Study
from storage.leases import Lease, Leases
from storage.samples import Sample, frozen, rows_of

REDRAWS = 8  # how often a sampler may come back to points that were drawn before
UNIFORM = 64  # uniform draws after that; all of them taken: there is not much left
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
        params: without the constants. point: the config's name.
        repeat: how often it was drawn before. of: the trial that had it first.
    """

    params: Params
    point: str
    repeat: int = 0
    of: int | None = None


@dataclass(frozen=True)
class Before:
    """What there is when a trial draws.

    Attributes:
        trials: all others that have not failed, after those of the study that this one was started from.
        number: of the trial that draws, among these.
        taken: the numbers of the trials that have drawn a point, by its name; the first one first.
        study, pruner: Hyperband makes its brackets of a study's name, and they concern the sampler, too.
    """

    trials: Sequence[FrozenTrial]
    number: int
    taken: Mapping[str, Sequence[int]]
    study: str = "study"
    pruner: optuna.pruners.BasePruner | None = None


def ask(study: Study, leases: Leases, lease: Lease) -> Task | None:
    """What the lease's trial trains; None where the lease is lost.

    Asked again, by whomever, the answer is the same.
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
        draw = choose(spec, lease.slot, before(study, lease))
        task = Task({**constants, **draw.params}, repeat_seed(seed, draw.repeat) if draw.repeat else seed)
        attributes = {"repeat_of": draw.of, "seed": task.seed} if draw.repeat else {}
        rows = rows_of(sample_of(spec, draw.params))
        answer = leases.sampled(lease, rows, draw.point, draw.repeat, attributes)
        if answer != "taken":  # else somebody drew the same a moment before
            return task if answer == "stored" else None


def before(study: Study, lease: Lease) -> Before:
    """What there is when the lease's trial draws."""
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
    # Optuna looks for new trials by number, and finds none below zero: ours come after what was there.
    others = [*inherited, *(moved(trial, len(inherited)) for trial in own)]
    pruner = study.optuna.pruner if spec.study.pruner.kind == "hyperband" else None
    return Before(others, lease.number + len(inherited), taken, study.name, pruner)


def inherited_trials(study: Study) -> list[FrozenTrial]:
    """The trials of the study that this one was started from, numbered from 0."""
    if study.origin is None:
        return []
    known = distributions(study.spec.space.parameters)
    found = []
    for number, trial in enumerate(study.origin.trials):
        sample = {name: (value, known[name]) for name, value in trial.params.items()}
        found.append(frozen(number, TrialState[trial.state], trial.value, sample, trial.epochs))
    return found


def moved(trial: FrozenTrial, by: int) -> FrozenTrial:
    """The trial with another number."""
    if not by:
        return trial
    other = copy(trial)
    other.number += by
    return other


def choose(spec: Spec, slot: int, before: Before) -> Draw:
    """What a slot trains: its known config, a point that nobody has, or one of the best once more."""
    params: Params = {}
    for params in proposals(spec, slot, before):
        name = point(spec.space, params)
        if name not in before.taken:
            return Draw(params, name)
        if slot < len(spec.known):
            return _repeat(before, name, params)
    # Of n + 1 configs one is none of n; four times as many, and the first are not preferred.
    listed = islice(configs(spec.space), 4 * len(before.taken) + UNIFORM)
    left = [params for params in listed if point(spec.space, params) not in before.taken]
    if left:
        params = random.Random(slot_seed(spec.study.sampler.seed, slot)).choice(left)
        return Draw(params, point(spec.space, params))
    sign = sign_of(spec.study.direction)
    complete = [trial for trial in before.trials if trial.state == TrialState.COMPLETE]
    ranked = sorted(complete, key=lambda trial: -sign * (trial.value or 0.0))
    best = {point(spec.space, trial.params): trial.params for trial in ranked}  # by the best run of each
    names = list(best)[:REPEATED] or [point(spec.space, params)]
    name = min(names, key=lambda name: len(before.taken.get(name, ())))
    return _repeat(before, name, best.get(name, params))


def _repeat(before: Before, name: str, params: Params) -> Draw:
    numbers = before.taken.get(name, ())
    return Draw(params, name, len(numbers), numbers[0] if numbers else None)


def proposals(spec: Spec, slot: int, before: Before) -> Iterator[Params]:
    """What the study's sampler wants to try, and again as long as nobody is content; then uniform draws."""
    trials = list(before.trials)
    for attempt in range(REDRAWS):
        params = propose(spec, build_sampler(spec, slot, attempt), replace(before, trials=trials))
        yield params
        number = 1 + max([before.number, *(trial.number for trial in trials)])
        trials.append(trial_of(spec, number, params))
    for attempt in range(REDRAWS, REDRAWS + UNIFORM):
        uniform = RandomSampler(seed=slot_seed(spec.study.sampler.seed, slot, attempt))
        yield propose(spec, uniform, before)


def propose(spec: Spec, sampler: BaseSampler, before: Before) -> Params:
    """What `sampler` draws, without the constants."""
    view = optuna.create_study(
        storage=Memory(seen(spec, before.trials), before.number),
        sampler=sampler,
        pruner=before.pruner,
        study_name=before.study,
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
    """Samples once in memory: Optuna looks at some options only when it uses them."""
    corners = [
        {name: value for name, value in corner.items() if name in spec.space.by_name}
        for corner in islice(spec.space.corners(), 2)
    ]
    trials = [trial_of(spec, number, params, 0.0) for number, params in enumerate(corners)]
    with options_at(spec, "sampler"):
        propose(spec, build_sampler(spec, slot=len(spec.known)), Before(trials, len(trials), {}))
