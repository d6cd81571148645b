"""What the constraints of a study say about configs that were drawn, feasible or not.

Each config is held against them once in a study: later draws, of every worker, read here what was found.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, inspect, select

from storage.tables import constraints, insert_or_ignore


@dataclass(frozen=True, slots=True)
class CheckedConfig:
    """A config that was held against the constraints.

    Attributes:
        point: its name. params: without the constants.
        violations: by constraint; above 0 where it is infeasible.
    """

    point: str
    params: Mapping[str, Any]
    violations: Mapping[str, float]

    @property
    def feasible(self) -> bool:
        return all(violation <= 0 for violation in self.violations.values())


def add(connection: Connection, study_id: int, configs: Collection[CheckedConfig]) -> None:
    """Stores configs; those that are stored already stay as they are."""
    rows = [
        {
            "study_id": study_id,
            "point": config.point,
            "params": json.dumps(dict(config.params)),
            "violations": json.dumps(dict(config.violations), allow_nan=False),
        }
        # Sorted: two workers that insert the same rows in two orders would wait for each other.
        for config in sorted(configs, key=lambda config: config.point)
    ]
    if rows:
        connection.execute(insert_or_ignore(connection, constraints), rows)


def read(engine: Engine, study_id: int) -> dict[str, CheckedConfig]:
    """The configs of a study that were held against its constraints, by name.

    None in an older database that is only read and has no such table yet.
    """
    if not inspect(engine).has_table(constraints.name):
        return {}
    query = select(constraints).where(constraints.c.study_id == study_id)
    with engine.connect() as connection:
        return {
            row.point: CheckedConfig(row.point, json.loads(row.params), json.loads(row.violations))
            for row in connection.execute(query)
        }
