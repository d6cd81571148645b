"""Deleting studies, in Optuna's tables and in ours, in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, select

from storage import tables
from storage.claims import Claimant
from storage.clock import now
from storage.studies import drop_rows, lock
from storage.tables import optuna_studies, optuna_tables, studies, trials, workers


def delete_studies(engine: Engine, study_ids: Sequence[int], claimant: Claimant) -> list[Row[Any]]:
    """Deletes the studies unless a worker of one of them lives; returns the workers that do.

    Args:
        claimant: who judges whether a worker lives, as it would before taking over a trial.
    """
    with engine.begin() as connection:
        for study_id in sorted(study_ids):
            connection.execute(lock(study_id))
            # No worker can join from here on: see `Leases.join`.
            ours = select(studies.c.study_id).where(studies.c.study_id == study_id)
            connection.execute(ours.with_for_update())
        living = [
            row for row in _workers(connection, study_ids) if not claimant.finds_dead(row, row.seen_at)
        ]
        if not living:
            for study_id in study_ids:
                drop_rows(connection, study_id)
                _drop_optunas(connection, study_id)
        return living


def _workers(connection: Connection, study_ids: Sequence[int]) -> list[Row[Any]]:
    query = (
        select(workers, studies.c.resumed_at, now().label("now"))
        .join(studies, studies.c.study_id == workers.c.study_id)
        .where(workers.c.study_id.in_(study_ids))
        .order_by(workers.c.host, workers.c.pid)
    )
    return list(connection.execute(query))


def _drop_optunas(connection: Connection, study_id: int) -> None:
    """Removes Optuna's rows of a study, those that refer to others first."""
    its_trials = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    others = [table for table in optuna_tables.tables.values() if table not in (trials, optuna_studies)]
    for table in others:
        if "trial_id" in table.c:
            connection.execute(delete(table).where(table.c.trial_id.in_(its_trials)))
    for table in (*(table for table in others if "study_id" in table.c), trials, tables.optuna_studies):
        connection.execute(delete(table).where(table.c.study_id == study_id))
