"""Plain reads of a study: a handful of SELECTs in place of Optuna's ORM.

They return what the status, the tables and the pruner need. `CurveFeed` reads only what is new, so that a
pruning decision costs the same with ten finished trials as with a thousand.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Engine, Row, Select, Table, bindparam, or_, select

from storage.clock import now
from storage.engine import single_statements
from storage.tables import (
    intermediates,
    leases,
    params,
    trials,
    trials_with_values,
    user_attributes,
    values,
    workers,
)

OVERLAP = 256
"""How many ids below the last one are read again: a row may become visible after one with a higher id."""

NEW_POINTS = (
    select(
        intermediates.c.trial_intermediate_value_id,
        trials.c.number,
        intermediates.c.step,
        intermediates.c.intermediate_value,
    )
    .join(trials, trials.c.trial_id == intermediates.c.trial_id)
    .where(
        trials.c.study_id == bindparam("study_id"),
        or_(
            intermediates.c.trial_intermediate_value_id > bindparam("last"),
            intermediates.c.trial_intermediate_value_id.in_(bindparam("missing", expanding=True)),
        ),
        intermediates.c.intermediate_value.is_not(None),
    )
    .order_by(intermediates.c.trial_intermediate_value_id)
)


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial: Optuna's row, our lease on it, its parameters and user attributes."""

    trial_id: int
    number: int
    slot: int
    state: str
    owner: str | None
    attempt: int
    epochs: int
    horizon: int | None
    seconds: float
    value: float | None
    params: Mapping[str, Any]
    attributes: Mapping[str, Any]


def trial_rows(engine: Engine, study_id: int, number: int | None = None) -> list[TrialRow]:
    """The trials of a study by number, or the one with `number`."""
    conditions = [leases.c.study_id == study_id]
    if number is not None:
        conditions.append(trials.c.number == number)

    def of_trials(table: Table) -> Select[Any]:
        with_lease = select(table).join(leases, leases.c.trial_id == table.c.trial_id)
        return with_lease.join(trials, trials.c.trial_id == table.c.trial_id).where(*conditions)

    sampled: dict[int, dict[str, Any]] = defaultdict(dict)
    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    with engine.connect() as connection:
        rows = connection.execute(
            select(trials, leases, values.c.value, now().label("now"))
            .select_from(trials_with_values)
            .where(*conditions)
            .order_by(trials.c.number)
        ).all()
        for row in connection.execute(of_trials(params).order_by(params.c.param_id)):
            sampled[row.trial_id][row.param_name] = _external(row.param_value, row.distribution_json)
        for row in connection.execute(of_trials(user_attributes)):
            attributes[row.trial_id][row.key] = json.loads(row.value_json)
    return [
        TrialRow(
            trial_id=row.trial_id,
            number=row.number,
            slot=row.slot,
            state=row.state,
            owner=row.owner,
            attempt=row.attempt,
            epochs=row.epochs,
            horizon=row.horizon,
            seconds=(row.now if row.finished_at is None else row.finished_at) - row.started_at,
            value=row.value,
            params=sampled[row.trial_id],
            attributes=attributes[row.trial_id],
        )
        for row in rows
    ]


def curves(engine: Engine, trial_ids: Sequence[int]) -> dict[int, dict[int, float | None]]:
    """Raw scores by trial id and epoch; None for a score that was not finite."""
    scores: dict[int, dict[int, float | None]] = {trial_id: {} for trial_id in trial_ids}
    query = select(
        intermediates.c.trial_id, intermediates.c.step, intermediates.c.intermediate_value
    ).order_by(intermediates.c.step)
    with engine.connect() as connection:
        for start in range(0, len(trial_ids), 500):  # SQLite takes 999 variables in older builds
            part = trial_ids[start : start + 500]
            for trial_id, step, score in connection.execute(
                query.where(intermediates.c.trial_id.in_(part))
            ):
                scores[trial_id][step] = score
    return scores


def worker_rows(engine: Engine, study_id: int, seen_within: float) -> list[Row[Any]]:
    """Workers that have not left and gave a sign of life in the last `seen_within` seconds, by host."""
    query = (
        select(workers, (now() - workers.c.seen_at).label("silent"))
        .where(
            workers.c.study_id == study_id,
            workers.c.left_at.is_(None),
            now() - workers.c.seen_at < seen_within,
        )
        .order_by(workers.c.host, workers.c.device, workers.c.worker_id)
    )
    with engine.connect() as connection:
        return list(connection.execute(query))


class Point(NamedTuple):
    """One reported score."""

    number: int
    epoch: int
    score: float


class CurveFeed:
    """The scores of all trials of a study as they come in; each call returns those since the last call.

    Scores of one trial come in the order of its epochs.
    """

    def __init__(self, engine: Engine, study_id: int) -> None:
        self.engine = single_statements(engine)
        self.study_id = study_id
        self._last = 0
        self._missing: list[int] = []  # ids below the last that are yet to come, if ever

    def __call__(self) -> list[Point]:
        with self.engine.connect() as connection:
            values = {"study_id": self.study_id, "last": self._last, "missing": self._missing}
            rows = connection.execute(NEW_POINTS, values).all()
        seen = {row[0] for row in rows}
        last = max(self._last, *seen) if seen else self._last
        oldest = last - OVERLAP
        gaps = chain(self._missing, range(max(self._last, oldest) + 1, last + 1))
        self._missing = [row_id for row_id in gaps if row_id > oldest and row_id not in seen]
        self._last = last
        return [Point(*row[1:]) for row in rows]


def _external(value: float, distribution_json: str) -> Any:
    """A parameter's value. Optuna stores a choice by its index, and everything as a float."""
    kind, choices = _distribution(distribution_json)
    if kind == "CategoricalDistribution":
        return choices[int(value)]
    return int(value) if kind == "IntDistribution" else value


@lru_cache(maxsize=256)  # a study has a few, each of them in every trial
def _distribution(distribution_json: str) -> tuple[str, Sequence[Any]]:
    """The name of a distribution, and its choices if it has any."""
    distribution = json.loads(distribution_json)
    return distribution["name"], distribution["attributes"].get("choices", ())
