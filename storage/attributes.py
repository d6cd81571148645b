"""System attributes of studies and user attributes of trials, in Optuna's tables: JSON under a key.

`add` keeps a value that exists: the first of several processes decides. `insert` is for keys that cannot
exist yet, and raises where one does.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from storage.tables import insert_or_ignore, study_system_attributes, user_attributes


def study_attribute(connection: Connection, study_id: int, key: str) -> Any:
    """A study's value of `key`; None where it has none."""
    return _value(connection, study_system_attributes, study_id=study_id, key=key)


def trial_attribute(connection: Connection, trial_id: int, key: str) -> Any:
    """A trial's value of `key`; None where it has none."""
    return _value(connection, user_attributes, trial_id=trial_id, key=key)


def add_study_attributes(connection: Connection, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Adds the attributes whose keys do not exist yet."""
    _add(connection, study_system_attributes, attributes, study_id=study_id)


def add_trial_attributes(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Adds the attributes whose keys do not exist yet."""
    _add(connection, user_attributes, attributes, trial_id=trial_id)


def insert_study_attributes(connection: Connection, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Adds attributes; raises IntegrityError where one of the keys exists."""
    _insert(connection, study_system_attributes, attributes, study_id=study_id)


def insert_trial_attributes(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Adds attributes; raises IntegrityError where one of the keys exists."""
    _insert(connection, user_attributes, attributes, trial_id=trial_id)


def set_study_attribute(connection: Connection, study_id: int, key: str, value: Any) -> None:
    """Sets a study's value of `key`."""
    add_study_attributes(connection, study_id, {key: value})
    row = update(study_system_attributes).filter_by(study_id=study_id, key=key)
    connection.execute(row.values(value_json=json.dumps(value)))


def _value(connection: Connection, table: Table, **where: Any) -> Any:
    stored = connection.scalar(select(table.c.value_json).filter_by(**where))
    return None if stored is None else json.loads(stored)


def _add(connection: Connection, table: Table, attributes: Mapping[str, Any], **of: int) -> None:
    if attributes:
        connection.execute(insert_or_ignore(connection, table), _rows(attributes, **of))


def _insert(connection: Connection, table: Table, attributes: Mapping[str, Any], **of: int) -> None:
    if attributes:
        connection.execute(insert(table), _rows(attributes, **of))


def _rows(attributes: Mapping[str, Any], **of: int) -> list[dict[str, Any]]:
    return [{**of, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
