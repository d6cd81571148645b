"""Our median pruner: the rule of `median_rule`, fed from the database."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any, ClassVar

from search.objective import EpochResult, Params
from search.pruners.learning_curve import Curve
from search.pruners.median_rule import CurveTable, MedianSettings
from search.pruners.pruner import Decision, Pruner
from search.spec.spec import Spec
from search.study.study import Study
from storage import reads
from storage.claims import Lease
from storage.errors import DATABASE_ERRORS


class MedianPruner(Pruner):
    """Reads at each epoch what is new in the database, whichever worker reported it."""

    options_from: ClassVar = MedianSettings

    def __init__(self, spec: Spec, **options: Any) -> None:
        self._settings = MedianSettings(smooth=spec.study.smooth, seed=spec.study.sampler.seed, **options)
        self._table = CurveTable(self._settings, spec.study.direction)

    def open(self, study: Study) -> None:
        self._study = study
        self._stated_shape = study.spec.vocabulary.curve
        self._feed = reads.CurveFeed(study.engine, study.id)

    def decide(self, lease: Lease, params: Params, result: EpochResult, reachable: bool) -> Decision:
        if reachable:
            with suppress(*DATABASE_ERRORS):
                self._read()
        # The database may be away: the trial's own score is known here all the same.
        if lease.number not in self._table:
            self._add(lease.number, params)
        self._table.update(lease.number, result.epoch, result.score)
        return self._table.decide(lease.number, result.epoch)

    def _read(self) -> None:
        points = self._feed()
        self._add_from_database({point.number for point in points if point.number not in self._table})
        for point in points:
            self._table.update(*point)

    def _add_from_database(self, numbers: Collection[int]) -> None:
        """Take in trials that are not in the table yet, with their parameters."""
        if not numbers:
            return
        # A worker that joins late meets all trials at once; one query per trial took it seconds.
        only = next(iter(numbers)) if len(numbers) == 1 else None
        for row in reads.trial_rows(self._study.engine, self._study.id, only):
            if row.number in numbers:
                params = {**self._study.spec.space.constants, **row.params}
                self._add(row.number, params)

    def _add(self, number: int, params: Params) -> None:
        self._table.add(Curve.of(number, self._settings.shape(self._stated_shape(params), params)))
