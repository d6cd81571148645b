"""Deleting studies, in Optuna's tables and in ours, in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, select

from storage.claims import Claimant, living
from storage.studies import drop_rows, lock
from storage.tables import optuna_studies, optuna_tables, trials


def delete_studies(engine: Engine, study_ids: Sequence[int], claimant: Claimant) -> list[Row[Any]]:
    """Deletes the studies unless a worker of one of them lives; returns the workers that do.

    Args:
        claimant: who judges whether a worker lives, as it would before taking over a trial.
    """
    with engine.begin() as connection:
        for study_id in sorted(study_ids):
            connection.execute(lock(study_id))  # no worker can join from here on
        workers = living(connection, study_ids, claimant)
        if not workers:
            for study_id in study_ids:
                drop_rows(connection, study_id)
                _drop_optunas(connection, study_id)
        return workers


def _drop_optunas(connection: Connection, study_id: int) -> None:
    """Removes Optuna's rows of a study, those that refer to others first."""
    its_trials = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    others = [table for table in optuna_tables.tables.values() if table not in (trials, optuna_studies)]
    for table in others:
        if "trial_id" in table.c:
            connection.execute(delete(table).where(table.c.trial_id.in_(its_trials)))
    for table in (*(table for table in others if "study_id" in table.c), trials, optuna_studies):
        connection.execute(delete(table).where(table.c.study_id == study_id))
