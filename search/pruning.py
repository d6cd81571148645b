"""The pruner `median`: the rule of `search.median`, fed from an Optuna study.

Stock pruners read every trial at every decision. Here a finished trial is read once, and of a running
one the new epochs only.
"""

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.median import CurveTable, Decision, MedianSettings
from search.objective import NOTHING, Params

COUNTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
"""Whose scores make the median; a failed trial's may be wrong."""


class MedianOverAll(optuna.pruners.BasePruner):
    """`CurveTable` as a pruner, for one study. Optuna's steps are epochs from 1.

    Args:
        settings: the rule.
        constants: parameters by name that all trials share and therefore do not hold themselves.

    Attributes:
        decision: the last one; where its `control` is true, the trial would have been pruned.
    """

    def __init__(self, settings: MedianSettings | None = None, constants: Params = NOTHING) -> None:
        self.settings = settings or MedianSettings()
        self.decision: Decision | None = None
        self._constants = constants
        self._table: CurveTable | None = None
        self._finished: set[int] = set()

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        if not trial.intermediate_values:
            return False
        if self._table is None:
            minimize = study.direction is optuna.study.StudyDirection.MINIMIZE
            self._table = CurveTable(self.settings, "minimize" if minimize else "maximize")
        for other in study.get_trials(deepcopy=False, states=COUNTED):
            if other.number not in self._finished and other.number != trial.number:
                self._read(self._table, other)
        self._read(self._table, trial)
        self.decision = self._table.decide(trial.number, max(trial.intermediate_values))
        return self.decision.prune

    def _read(self, table: CurveTable, trial: FrozenTrial) -> None:
        scores = trial.intermediate_values
        # Before its first score another worker may still be suggesting a trial's parameters.
        if scores and trial.number not in table:
            params = {**self._constants, **trial.params}
            table.add(self.settings.curve(trial.number, params))
        if scores:
            last = table.last_epoch(trial.number)
            for epoch in sorted(epoch for epoch in scores if epoch > last):
                table.update(trial.number, epoch, scores[epoch])
        if trial.state.is_finished():
            self._finished.add(trial.number)
