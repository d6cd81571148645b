"""Whether a trial goes on: a judge per study, asked after every epoch.

A new pruner is one function and one entry at the foot of this file.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Protocol

import optuna

from search.objective import EpochResult, Params
from search.pruners.median import CurveTable, Decision, MedianSettings
from search.spec.registry import options_at, registered
from search.spec.spec import Spec
from search.study.study import Study
from storage import reads
from storage.engine import DATABASE_ERRORS
from storage.leases import Lease


class Judge(Protocol):
    """Whether the trial under `lease`, which has `params`, should end after `result`, and why.

    Where the database is not `reachable`, nobody waits for it: the bar is the last one that was read.
    """

    def __call__(self, lease: Lease, params: Params, result: EpochResult, reachable: bool) -> Decision: ...


def build_pruner(spec: Spec) -> Callable[[Study], Judge]:
    """The study's pruner, its options checked; called with the open study it becomes a judge."""
    settings = spec.study.pruner
    build = registered("pruner", settings.kind, PRUNERS, spec)
    with options_at(spec, "pruner"):
        return build(spec, dict(settings.options))


class MedianJudge:
    """Our median, fed with what is new in the database, whoever reported it."""

    def __init__(self, study: Study, settings: MedianSettings) -> None:
        self._study = study
        self._settings = settings
        self._table = CurveTable(settings, study.spec.study.direction)
        self._feed = reads.CurveFeed(study.engine, study.id)

    def __call__(self, lease: Lease, params: Params, result: EpochResult, reachable: bool) -> Decision:
        if reachable:
            with suppress(*DATABASE_ERRORS):
                self._read()
        if lease.number not in self._table:
            self._table.add(self._settings.curve(lease.number, params))
        self._table.update(lease.number, result.epoch, result.score)
        return self._table.decide(lease.number, result.epoch)

    def _read(self) -> None:
        points = self._feed()
        self._add({point.number for point in points if point.number not in self._table})
        for point in points:
            self._table.update(*point)

    def _add(self, numbers: Collection[int]) -> None:
        """Takes in trials that are not known yet, with their parameters."""
        if not numbers:
            return
        # A worker that joins late meets all trials at once: asked for one by one they took it seconds.
        only = next(iter(numbers)) if len(numbers) == 1 else None
        for row in reads.trial_rows(self._study.engine, self._study.id, only):
            if row.number in numbers:
                params = {**self._study.spec.space.constants, **row.params}
                self._table.add(self._settings.curve(row.number, params))


class StockJudge:
    """One of Optuna's own pruners, which read the study anew at each epoch."""

    def __init__(self, study: Study, kind: str, pruner: optuna.pruners.BasePruner) -> None:
        self._study = study.optuna
        self._study.pruner = pruner  # Hyperband's brackets concern the sampler, too
        self._kind = kind

    def __call__(self, lease: Lease, params: Params, result: EpochResult, reachable: bool) -> Decision:
        prune = False
        if reachable:
            with suppress(optuna.exceptions.StorageInternalError):
                trial = self._study._storage.get_trial(lease.trial_id)
                prune = self._study.pruner.prune(self._study, trial)
        text = f"epoch {result.epoch}: the {self._kind} pruner ended it at {result.score:.4g}"
        return Decision(prune=prune, epoch=result.epoch, text=text)


def _median(spec: Spec, options: dict[str, Any]) -> Callable[[Study], Judge]:
    settings = MedianSettings(smooth=spec.study.smooth, seed=spec.study.sampler.seed, **options)
    return lambda study: MedianJudge(study, settings)


def _rehearse(pruner: optuna.pruners.BasePruner) -> None:
    """Judges once in memory: Optuna looks at some options only when it uses them."""
    study = optuna.create_study(pruner=pruner)
    for _ in range(2):  # the second trial has a complete one beside it
        trial = study.ask()
        for epoch in (1, 2):
            trial.report(0.0, epoch)
            trial.should_prune()
        study.tell(trial, 0.0)


def _stock(kind: str, pruner: Callable[..., optuna.pruners.BasePruner]) -> Any:
    def build(spec: Spec, options: dict[str, Any]) -> Callable[[Study], Judge]:
        built = pruner(**options)
        _rehearse(built)
        return lambda study: StockJudge(study, kind, built)

    return build


PRUNERS: Mapping[str, Callable[[Spec, dict[str, Any]], Callable[[Study], Judge]]] = {
    "median": _median,
    "percentile": _stock("percentile", optuna.pruners.PercentilePruner),
    "successive_halving": _stock("successive_halving", optuna.pruners.SuccessiveHalvingPruner),
    "hyperband": _stock("hyperband", optuna.pruners.HyperbandPruner),
    "none": _stock("none", optuna.pruners.NopPruner),
}
