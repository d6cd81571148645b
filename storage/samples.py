"""What samplers learn from: parameters and values of trials, read by plain SQL.

Optuna's storage reads every running trial with all its scores at each ask, 0.6 s for 64 of them.
A sampler needs only their parameters, which never change, and the values of finished trials. So a trial is
read once when it is claimed, and once more when it has ended.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, or_, select

from storage import constraints, points
from storage.attributes import trial_attribute
from storage.constraints import CheckedConfig
from storage.tables import leases, params, trials, trials_with_values, values

OVERLAP_SECONDS = 120.0
"""How far back ended trials are read again: one may become visible after others that ended later."""

Sample = Mapping[str, tuple[Any, BaseDistribution]]
"""A trial's parameters: value and distribution by name."""


class Samples:
    """The trials of a study as its samplers see them. Not thread-safe."""

    def __init__(self, engine: Engine, study_id: int) -> None:
        self.engine = engine
        self.study_id = study_id
        self._samples: dict[int, Sample] = {}
        self._ended: dict[int, FrozenTrial] = {}
        self._read_until = 0.0

    def of(self, trial_id: int) -> Sample:
        """The parameters of one trial; empty before they are sampled."""
        with self.engine.connect() as connection:
            return _read_samples(connection, [trial_id]).get(trial_id, {})

    def seed(self, trial_id: int, usual: int) -> int:
        """The seed stored with a trial's config; by default the `usual` one."""
        with self.engine.connect() as connection:
            stored = trial_attribute(connection, trial_id, "seed")
        return usual if stored is None else int(stored)

    def points(self) -> dict[str, list[int]]:
        """The numbers of the trials that sampled a point, by its name."""
        with self.engine.connect() as connection:
            return points.trial_numbers(connection, self.study_id)

    def checked(self) -> dict[str, CheckedConfig]:
        """The configs that were held against the study's constraints, by name."""
        return constraints.read(self.engine, self.study_id)

    def __call__(self) -> list[FrozenTrial]:
        """Trials by number with parameters and value, including running ones, but not failed ones.

        Of its scores a pruned trial has only the last, by which samplers rank it.
        """
        query = (
            select(
                trials.c.trial_id, trials.c.number, trials.c.state, leases.c.epochs,
                leases.c.finished_at, values.c.value,
            )
            .select_from(trials_with_values)
            .where(
                leases.c.study_id == self.study_id,
                or_(
                    leases.c.finished_at.is_(None),
                    leases.c.finished_at > self._read_until - OVERLAP_SECONDS,
                ),
                trials.c.state != "FAIL",
            )
        )  # fmt: skip
        with self.engine.connect() as connection:
            rows = [row for row in connection.execute(query) if row.trial_id not in self._ended]
            unknown = [row.trial_id for row in rows if row.trial_id not in self._samples]
            self._samples |= _read_samples(connection, unknown)
        running = []
        for row in rows:
            sample = self._samples.get(row.trial_id, {})
            trial = frozen(row.number, TrialState[row.state], row.value, sample, row.epochs)
            if row.finished_at is None:
                running.append(trial)
            else:
                self._ended[row.trial_id] = trial
                self._read_until = max(self._read_until, row.finished_at)
        return sorted([*self._ended.values(), *running], key=lambda trial: trial.number)


def frozen(
    number: int, state: TrialState, value: float | None, sample: Sample, epochs: int = 0
) -> FrozenTrial:
    """A trial as samplers see it. A pruned one has reported its value at the last of `epochs`."""
    reported = {epochs: value} if state == TrialState.PRUNED and epochs and value is not None else {}
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=value,
        datetime_start=None,
        datetime_complete=None,
        params={name: value for name, (value, _) in sample.items()},
        distributions={name: distribution for name, (_, distribution) in sample.items()},
        user_attrs={},
        system_attrs={},
        intermediate_values=reported,
    )


def rows_of(sample: Sample) -> list[dict[str, Any]]:
    """Parameters as rows of Optuna's table."""
    return [
        {
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": distribution_to_json(distribution),
        }
        for name, (value, distribution) in sample.items()
    ]


def _read_samples(connection: Connection, trial_ids: Collection[int]) -> dict[int, Sample]:
    samples: defaultdict[int, dict[str, tuple[Any, BaseDistribution]]] = defaultdict(dict)
    waiting = list(trial_ids)
    while waiting:
        part, waiting = waiting[:500], waiting[500:]  # SQLite takes 999 variables in older builds
        query = select(params).where(params.c.trial_id.in_(part)).order_by(params.c.param_id)
        for row in connection.execute(query):
            distribution = _distribution(row.distribution_json)
            value = distribution.to_external_repr(row.param_value)
            samples[row.trial_id][row.param_name] = value, distribution
    return dict(samples)


@lru_cache(maxsize=256)  # a study has a few, each of them in every trial
def _distribution(distribution_json: str) -> BaseDistribution:
    return json_to_distribution(distribution_json)
