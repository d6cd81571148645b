"""A study as Optuna's samplers and importances need it: distributions, and trials in memory."""

import warnings
from collections.abc import Container, Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from search.spec.parameter import Parameter

# A study in memory is made for every draw and every resampled importance: none of them is news to a user.
optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # group, PartialFixed


def distributions(parameters: Sequence[Parameter]) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each, by name, whether or not they can exist beside each other."""
    trial = FixedTrial({parameter.name: parameter.ends[0] for parameter in parameters})
    for parameter in parameters:
        parameter.suggest(trial)
    return trial.distributions


class Memory(InMemoryStorage):
    """A storage for one trial, `number`, that has `others` before it."""

    def __init__(self, others: Sequence[FrozenTrial], number: int) -> None:
        super().__init__()
        self.others = others
        self._number = number

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        self._get_trial(trial_id).number = self._number
        return trial_id

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        chosen = [trial for trial in self.others if states is None or trial.state in states]
        return [*chosen, *super().get_all_trials(study_id, deepcopy, states)]
