"""Optuna's own pruners. They read the whole study from the database at each epoch."""

from contextlib import suppress
from typing import Annotated, Literal

import optuna
from annotated_types import Ge, Interval
from optuna.pruners import BasePruner, HyperbandPruner, PercentilePruner, SuccessiveHalvingPruner

from search.objective import EpochResult, Params
from search.pruners.pruner import Decision, Pruner
from search.spec.spec import Spec
from search.study.study import Study
from storage.claims import Lease


class OptunaPruner(Pruner):
    """A pruner of Optuna."""

    def __init__(self, pruner: BasePruner, spec: Spec) -> None:
        self.pruner = pruner
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


def percentile(
    spec: Spec,
    *,
    percentile: Annotated[float, Interval(ge=0, le=100)],
    n_startup_trials: Annotated[int, Ge(0)] = 5,
    n_warmup_steps: Annotated[int, Ge(0)] = 0,
    interval_steps: Annotated[int, Ge(1)] = 1,
    n_min_trials: Annotated[int, Ge(1)] = 1,
) -> Pruner:
    """Ends a trial whose best score is outside of the best `percentile` of the others at its epoch.

    Args:
        percentile: share of trials that run on, 0 to 100.
        n_startup_trials: complete trials before any is ended, 0 or more.
        n_warmup_steps: epochs before a trial is ended, 0 or more.
        interval_steps: epochs between two looks, 1 or more.
        n_min_trials: scores of others at an epoch before a trial is ended at it, 1 or more.
    """
    pruner = PercentilePruner(
        percentile, n_startup_trials, n_warmup_steps, interval_steps, n_min_trials=n_min_trials
    )
    return OptunaPruner(pruner, spec)


def successive_halving(
    spec: Spec,
    *,
    min_resource: Annotated[int, Ge(1)] | Literal["auto"] = "auto",
    reduction_factor: Annotated[int, Ge(2)] = 4,
    min_early_stopping_rate: Annotated[int, Ge(0)] = 0,
    bootstrap_count: Annotated[int, Ge(0)] = 0,
) -> Pruner:
    """Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934).

    Args:
        min_resource: epochs to the first rung, 1 or more; auto: by the first complete trials.
        reduction_factor: one in so many goes on from a rung, 2 or more; the next is as many times as far.
        min_early_stopping_rate: rungs that are left out at first, 0 or more.
        bootstrap_count: trials that a rung needs before one goes on, 0 or more.
    """
    pruner = SuccessiveHalvingPruner(
        min_resource, reduction_factor, min_early_stopping_rate, bootstrap_count
    )
    return OptunaPruner(pruner, spec)


def hyperband(
    spec: Spec,
    *,
    min_resource: Annotated[int, Ge(1)] = 1,
    max_resource: Annotated[int, Ge(1)] | Literal["auto"] = "auto",
    reduction_factor: Annotated[int, Ge(2)] = 3,
    bootstrap_count: Annotated[int, Ge(0)] = 0,
) -> Pruner:
    """Hyperband (Li et al. 2018, arXiv:1603.06560), which has the sampler learn within brackets, too.

    Args:
        min_resource: epochs to the first rung, 1 or more.
        max_resource: epochs of a trial, 1 or more; auto: by the first complete trials.
        reduction_factor: one in so many goes on from a rung, 2 or more.
        bootstrap_count: trials that a rung needs before one goes on, 0 or more.
    """
    pruner = HyperbandPruner(min_resource, max_resource, reduction_factor, bootstrap_count)
    built = OptunaPruner(pruner, spec)
    built.for_sampler = pruner
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
