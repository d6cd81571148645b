"""The plan of a study that retrains: for each slot of its budget, which config with which seed.

A study with a plan samples nothing. The plan is made of attributes of the study, readable by every tool
that speaks Optuna: what does not change (`search:plan`), and one row for each slot (`search:slot:N`).
Appending slots and raising the budget to their number is one transaction under the study's lock: whoever
decided by an older state of the plan appends nothing, so that any number of processes may try.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

from storage.studies import lock
from storage.tables import insert_or_ignore, studies, study_system_attributes

PLAN = "search:plan"
SLOT = "search:slot:"


@dataclass(frozen=True, slots=True)
class Slot:
    """What one slot trains: the config by its index in the plan, the seed by its index, and the seed."""

    config: int
    block: int
    seed: int


def create(engine: Engine, study_id: int, plan: Mapping[str, Any]) -> None:
    """Stores the plan of a study that has none yet; a second call changes nothing."""
    with engine.begin() as connection:
        connection.execute(
            insert_or_ignore(connection, study_system_attributes).values(
                study_id=study_id, key=PLAN, value_json=json.dumps(dict(plan))
            )
        )


def replace(engine: Engine, study_id: int, plan: Mapping[str, Any]) -> None:
    """Stores another plan; the caller has checked that it means the same for all slots there are."""
    attribute = study_system_attributes
    with engine.begin() as connection:
        connection.execute(
            update(attribute)
            .where(attribute.c.study_id == study_id, attribute.c.key == PLAN)
            .values(value_json=json.dumps(dict(plan)))
        )


def read(engine: Engine, study_id: int) -> dict[str, Any] | None:
    """The plan as it was created; None for a study that samples."""
    with engine.connect() as connection:
        stored = connection.scalar(_values(study_id).where(study_system_attributes.c.key == PLAN))
    return None if stored is None else dict(json.loads(stored))


def slots(engine: Engine, study_id: int) -> list[Slot]:
    """All slots that are planned, in their order."""
    with engine.connect() as connection:
        rows = connection.execute(
            select(study_system_attributes.c.key, study_system_attributes.c.value_json).where(
                study_system_attributes.c.study_id == study_id,
                study_system_attributes.c.key.startswith(SLOT),
            )
        ).all()
    found = {int(row.key.removeprefix(SLOT)): Slot(**json.loads(row.value_json)) for row in rows}
    return [found[slot] for slot in sorted(found)]


def slot(engine: Engine, study_id: int, number: int) -> Slot | None:
    """What slot `number` trains; None where it is not planned."""
    with engine.connect() as connection:
        stored = connection.scalar(
            _values(study_id).where(study_system_attributes.c.key == f"{SLOT}{number}")
        )
    return None if stored is None else Slot(**json.loads(stored))


def append(engine: Engine, study_id: int, planned: int, more: Sequence[Slot]) -> bool:
    """Adds slots to a plan that has `planned`, and raises the budget to their number.

    False, and nothing is changed, where the plan has grown since it was read.
    """
    with engine.begin() as connection:
        connection.execute(lock(study_id))
        attribute = study_system_attributes
        there = connection.scalar(
            select(func.count())
            .select_from(attribute)
            .where(attribute.c.study_id == study_id, attribute.c.key.startswith(SLOT))
        )
        if there != planned:
            return False
        rows = [
            {
                "study_id": study_id,
                "key": f"{SLOT}{planned + index}",
                "value_json": json.dumps(asdict(each)),
            }
            for index, each in enumerate(more)
        ]
        connection.execute(insert(attribute), rows)
        connection.execute(
            update(studies).where(studies.c.study_id == study_id).values(trials=planned + len(more))
        )
        return True


def _values(study_id: int) -> Any:
    return select(study_system_attributes.c.value_json).where(
        study_system_attributes.c.study_id == study_id
    )
