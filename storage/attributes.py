"""System attributes of studies and user attributes of trials, in Optuna's tables: JSON under a key.

Adding keeps a value that exists: the first of several processes decides.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, select, update

from storage.tables import insert_or_ignore, study_system_attributes, user_attributes


def study_attribute(connection: Connection, study_id: int, key: str) -> Any:
    """A study's value of `key`; None where it has none."""
    return _value(connection, study_system_attributes, study_id=study_id, key=key)


def trial_attribute(connection: Connection, trial_id: int, key: str) -> Any:
    """A trial's value of `key`; None where it has none."""
    return _value(connection, user_attributes, trial_id=trial_id, key=key)


def study_attributes(connection: Connection, study_id: int, prefix: str) -> dict[str, Any]:
    """A study's values of the keys that begin with `prefix`, by the rest of the key."""
    column = study_system_attributes.c
    query = select(column.key, column.value_json).where(
        column.study_id == study_id, column.key.startswith(prefix)
    )
    return {key.removeprefix(prefix): json.loads(value) for key, value in connection.execute(query)}


def add_study_attributes(connection: Connection, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Adds the attributes whose keys do not exist yet."""
    add_attributes(connection, study_system_attributes, attributes, study_id=study_id)


def add_trial_attributes(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Adds the attributes whose keys do not exist yet."""
    add_attributes(connection, user_attributes, attributes, trial_id=trial_id)


def set_study_attribute(connection: Connection, study_id: int, key: str, value: Any) -> None:
    """Sets a study's value of `key`."""
    add_study_attributes(connection, study_id, {key: value})
    row = update(study_system_attributes).filter_by(study_id=study_id, key=key)
    connection.execute(row.values(value_json=json.dumps(value)))


def add_attributes(connection: Connection, table: Table, attributes: Mapping[str, Any], **of: int) -> None:
    """Adds those to `table` whose keys the study or trial `of` does not have yet."""
    rows = [{**of, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
    if rows:
        connection.execute(insert_or_ignore(connection, table), rows)


def _value(connection: Connection, table: Table, **where: Any) -> Any:
    stored = connection.scalar(select(table.c.value_json).filter_by(**where))
    return None if stored is None else json.loads(stored)
