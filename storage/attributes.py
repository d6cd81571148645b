"""System attributes of studies and user attributes of trials, in Optuna's tables: JSON under a key.

Who adds one leaves what is there: of several processes the first has said what it is. Who inserts one knows
that none is there, and is told where that is not so.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from storage.tables import insert_or_ignore, study_system_attributes, user_attributes


def study_attribute(connection: Connection, study_id: int, key: str) -> Any:
    """What a study has under `key`; None where it has nothing."""
    return _value(connection, study_system_attributes, study_id=study_id, key=key)


def trial_attribute(connection: Connection, trial_id: int, key: str) -> Any:
    """What a trial has under `key`; None where it has nothing."""
    return _value(connection, user_attributes, trial_id=trial_id, key=key)


def add_study_attributes(connection: Connection, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Adds what is not there yet."""
    _add(connection, study_system_attributes, attributes, study_id=study_id)


def add_trial_attributes(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Adds what is not there yet."""
    _add(connection, user_attributes, attributes, trial_id=trial_id)


def insert_study_attributes(connection: Connection, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Stores what is not there; raises IntegrityError where something of it is."""
    _insert(connection, study_system_attributes, attributes, study_id=study_id)


def insert_trial_attributes(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Stores what is not there; raises IntegrityError where something of it is."""
    _insert(connection, user_attributes, attributes, trial_id=trial_id)


def set_study_attribute(connection: Connection, study_id: int, key: str, value: Any) -> None:
    """Makes `value` what a study has under `key`, whatever that was."""
    add_study_attributes(connection, study_id, {key: value})
    mine = update(study_system_attributes).filter_by(study_id=study_id, key=key)
    connection.execute(mine.values(value_json=json.dumps(value)))


def _value(connection: Connection, table: Table, **mine: Any) -> Any:
    stored = connection.scalar(select(table.c.value_json).filter_by(**mine))
    return None if stored is None else json.loads(stored)


def _add(connection: Connection, table: Table, attributes: Mapping[str, Any], **of: int) -> None:
    if attributes:
        connection.execute(insert_or_ignore(connection, table), _rows(attributes, **of))


def _insert(connection: Connection, table: Table, attributes: Mapping[str, Any], **of: int) -> None:
    if attributes:
        connection.execute(insert(table), _rows(attributes, **of))


def _rows(attributes: Mapping[str, Any], **of: int) -> list[dict[str, Any]]:
    return [{**of, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
