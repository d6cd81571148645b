"""Samplers for simulated studies: uniform draws, our samplers, Optuna's.

Uniform draws do not depend on the pruner, so pruners are compared on the same trials. Our samplers draw as
in a worker, each slot with a sampler of its own from the trials before it; Optuna's draw as `study.ask()`
does.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from search.objective import Params
from search.samplers.choose import DrawHistory, choose, trial_of
from simulation.learning_curves import Family


class Sampler(Protocol):
    """The sampler of one study: gives the params of each slot in turn, and learns how each trial ended."""

    def ask(self, slot: int) -> Params: ...

    def tell(self, slot: int, epochs: int, score: float, complete: bool) -> None:
        """The trial ended after `epochs`; `score` is its value if complete, else its last score."""
        ...


class Uniform:
    def __init__(self, family: Family, seed: int) -> None:
        self._space = family.spec().space
        self._seed = seed

    def ask(self, slot: int) -> Params:
        return self._space.suggest(Draw(np.random.default_rng([self._seed, slot, 1])))

    def tell(self, slot: int, epochs: int, score: float, complete: bool) -> None: ...


class Draw:
    """A trial whose values are drawn uniformly, on a logarithmic scale where the range has one."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if log:
            return float(np.exp(self._rng.uniform(np.log(low), np.log(high))))
        return float(self._rng.uniform(low, high))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._rng.integers(low, high, endpoint=True))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[self._rng.integers(len(choices))]


class Ours:
    """Our sampler `kind`, drawing as a worker does."""

    def __init__(self, family: Family, seed: int, kind: str) -> None:
        self._spec = family.spec(kind, seed)
        self._trials: list[FrozenTrial] = []
        self._taken: defaultdict[str, list[int]] = defaultdict(list)

    def ask(self, slot: int) -> Params:
        draw = choose(self._spec, slot, DrawHistory(self._trials, slot, self._taken))
        self._taken[draw.point].append(slot)
        self._trials.append(trial_of(self._spec, slot, draw.params))
        return {**self._spec.space.constants, **draw.params}

    def tell(self, slot: int, epochs: int, score: float, complete: bool) -> None:
        trial = self._trials[slot]
        trial.state = TrialState.COMPLETE if complete else TrialState.PRUNED
        trial.value = score
        if not complete:
            trial.intermediate_values = {epochs: score}


class OptunaStudySampler:
    """A sampler of Optuna, in an Optuna study."""

    def __init__(self, family: Family, sampler: BaseSampler) -> None:
        self._space = family.spec().space
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self, slot: int) -> Params:
        self._trials[slot] = self._study.ask()
        return self._space.suggest(self._trials[slot])

    def tell(self, slot: int, epochs: int, score: float, complete: bool) -> None:
        trial = self._trials.pop(slot)
        if complete:
            self._study.tell(trial, score)
        else:
            trial.report(score, epochs)
            self._study.tell(trial, state=TrialState.PRUNED)


SAMPLERS: Mapping[str, Callable[[Family, int], Sampler]] = {
    "random": Uniform,
    "TPE, ours": lambda family, seed: Ours(family, seed, "tpe"),
    "TPE, Optuna's": lambda family, seed: OptunaStudySampler(family, TPESampler(seed=seed)),
}
