"""Optuna's own pruners. They read the whole study from the database at each epoch."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner

from search.objective import EpochResult, Params
from search.pruners.pruner import Decision, Pruner
from search.spec.spec import Spec
from search.study.study import Study
from storage.claims import Lease


class OptunaPruner(Pruner):
    """A pruner of Optuna, given its own options."""

    def __init__(self, build: Callable[..., BasePruner], spec: Spec, **options: Any) -> None:
        self.pruner = build(**options)
        self._kind = spec.study.pruner.kind
        _rehearse(self.pruner)

    def open(self, study: Study) -> None:
        self._study = study.optuna

    def decide(self, lease: Lease, params: Params, result: EpochResult, reachable: bool) -> Decision:
        prune = False
        if reachable:
            with suppress(optuna.exceptions.StorageInternalError):
                trial = self._study._storage.get_trial(lease.trial_id)
                prune = self.pruner.prune(self._study, trial)
        text = f"epoch {result.epoch}: the {self._kind} pruner ended it at {result.score:.4g}"
        return Decision(prune=prune, epoch=result.epoch, text=text)


def hyperband(spec: Spec, **options: Any) -> Pruner:
    """Hyperband, which has the sampler learn within brackets, too."""
    built = OptunaPruner(HyperbandPruner, spec, **options)
    built.for_sampler = built.pruner
    return built


def _rehearse(pruner: BasePruner) -> None:
    """Prune once in memory: Optuna checks some options only when it uses them."""
    study = optuna.create_study(pruner=pruner)
    for _ in range(2):  # the second trial has a complete one to be compared with
        trial = study.ask()
        for epoch in (1, 2):
            trial.report(0.0, epoch)
            trial.should_prune()
        study.tell(trial, 0.0)
