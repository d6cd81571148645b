"""One draw for one slot, in memory: from what is known, a feasible config that was never drawn before."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from search.errors import NoFeasibleConfig
from search.objective import Params
from search.samplers.draw import slot_seed
from search.samplers.feasibility import Feasibility, with_violations
from search.samplers.registry import build_sampler
from search.scoring import sign_of
from search.spec.grid import configs, point
from search.spec.spec import Spec
from search.study.optuna_view import Memory
from storage.constraints import CheckedConfig
from storage.samples import Sample, frozen

REDRAWS = 8  # draws of the sampler that may be points drawn before
UNIFORM = 64  # uniform draws after that; if all of them are taken, few points are left
INFEASIBLE_REDRAWS = 32  # draws of the sampler that may be infeasible, apart from those drawn before
INFEASIBLE_UNIFORM = 1000  # uniform draws after that; if all of them are, hardly anything is feasible
REPEATED = 5  # how many of the best configs are trained again where nothing is left


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
        feasibility: what the study's constraints say; None where it has none.
    """

    trials: Sequence[FrozenTrial]
    number: int
    taken: Mapping[str, Sequence[int]]
    study_name: str = "study"
    pruner: BasePruner | None = None
    feasibility: Feasibility | None = None


@dataclass
class Passed:
    """What was drawn for a slot and may not be trained in it, as the sampler sees it.

    Attributes:
        taken: drawn before, by others. infeasible: refused by the constraints.
    """

    taken: list[FrozenTrial] = field(default_factory=list)
    infeasible: list[FrozenTrial] = field(default_factory=list)


def choose(spec: Spec, slot: int, history: DrawHistory) -> Draw:
    """What a slot trains: its known config, a feasible point that no trial has, or one of the best again.

    Raises:
        NoFeasibleConfig: there is nothing to train.
    """
    feasibility = history.feasibility or Feasibility(spec.space)
    passed = Passed()
    for params in proposals(spec, slot, history, passed):
        name = point(spec.space, params)
        number = next_number(history.number, [*history.trials, *passed.taken, *passed.infeasible])
        if name in history.taken:
            if slot < len(spec.known):
                return _repeat(history, name, params)
            passed.taken.append(trial_of(spec, number, params))
        elif (config := feasibility.of(params)).feasible:
            return Draw(params, name)
        else:
            passed.infeasible.append(infeasible_trial(spec, number, config))
    # With n points taken or infeasible, any n + 1 configs hold a free one. Listing four times as many keeps
    # the choice from always falling on the first configs of the list.
    known = len(history.taken) + len(feasibility.infeasible)
    listed = islice(configs(spec.space), 4 * known + UNIFORM)
    left = [params for params in listed if point(spec.space, params) not in history.taken]
    dice = random.Random(slot_seed(spec.study.sampler.seed, slot))
    while left:
        params = left.pop(dice.randrange(len(left)))
        if feasibility.of(params).feasible:
            return Draw(params, point(spec.space, params))
    sign = sign_of(spec.study.direction)
    complete = [trial for trial in history.trials if trial.state == TrialState.COMPLETE]
    ranked = sorted(complete, key=lambda trial: -sign * (trial.value or 0.0))
    best = {point(spec.space, trial.params): trial.params for trial in ranked}  # by the best run of each
    for trial in passed.taken[-1:] if not best else ():
        best[point(spec.space, trial.params)] = trial.params
    if not best:
        drawn = len(passed.infeasible)
        raise NoFeasibleConfig(
            f"study {history.study_name!r}: none of {drawn} draws is feasible: {feasibility.reason}"
        )
    name = min(list(best)[:REPEATED], key=lambda name: len(history.taken.get(name, ())))
    return _repeat(history, name, best[name])


def _repeat(history: DrawHistory, name: str, params: Params) -> Draw:
    numbers = history.taken.get(name, ())
    return Draw(params, name, len(numbers), numbers[0] if numbers else None)


def proposals(spec: Spec, slot: int, history: DrawHistory, passed: Passed) -> Iterator[Params]:
    """What the study's sampler draws, again and again until the caller takes one; then uniform draws.

    The caller adds to `passed` what it does not take.
    """
    for redraw in count():
        taken, infeasible = len(passed.taken), len(passed.infeasible)
        if taken < REDRAWS and infeasible < INFEASIBLE_REDRAWS:
            trials = [*history.trials, *passed.taken, *passed.infeasible]
            yield propose(spec, build_sampler(spec, slot, redraw), replace(history, trials=trials))
        elif taken < REDRAWS + UNIFORM and infeasible < INFEASIBLE_REDRAWS + INFEASIBLE_UNIFORM:
            uniform = RandomSampler(seed=slot_seed(spec.study.sampler.seed, slot, redraw))
            yield propose(spec, uniform, replace(history, trials=()))
        else:
            return


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


def infeasible_trial(spec: Spec, number: int, config: CheckedConfig) -> FrozenTrial:
    """A refused config as a sampler sees it: a pruned trial without a score, with its violations."""
    trial = frozen(number, TrialState.PRUNED, None, sample_of(spec, config.params))
    return with_violations(trial, config.violations)


def next_number(number: int, trials: Sequence[FrozenTrial]) -> int:
    """A trial number above `number` and those of all `trials`."""
    return 1 + max([number, *(trial.number for trial in trials)])
