"""The plan of a study that retrains: for each slot of its budget, which config with which seed.

A study with a plan samples nothing. The plan consists of attributes of the study, readable by every tool
that speaks Optuna: what does not change (`search:plan`), and one attribute for each slot (`search:slot:N`).
The study whose configs are retrained counts the plans made for it (`search:retrained:TOKEN`), also those
deleted since. Appending slots and raising the budget to their number is one transaction under the study's
lock. A process that decided by an older state of the plan appends nothing, so any number of them may try.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine, select, update

from storage.attributes import add_study_attributes, set_study_attribute, study_attributes
from storage.studies import attribute, lock
from storage.tables import optuna_studies, studies, study_system_attributes

PLAN = "search:plan"
SLOT = "search:slot:"
COUNTED = "search:retrained:"


@dataclass(frozen=True, slots=True)
class Slot:
    """What one slot trains: the index of the config in the plan, the index of the seed, and the seed."""

    config: int
    block: int
    seed: int


def create(engine: Engine, study_id: int, plan: Mapping[str, Any]) -> None:
    """Stores the plan of a study that has none; a second call changes nothing."""
    with engine.begin() as connection:
        add_study_attributes(connection, study_id, {PLAN: dict(plan)})


def replace(engine: Engine, study_id: int, plan: Mapping[str, Any]) -> None:
    """Replaces the plan; the caller has checked that it means the same for all existing slots."""
    with engine.begin() as connection:
        set_study_attribute(connection, study_id, PLAN, dict(plan))


def read(engine: Engine, study_id: int) -> dict[str, Any] | None:
    """The plan; None for a study that samples."""
    stored = attribute(engine, study_id, PLAN)
    return None if stored is None else dict(stored)


def names(engine: Engine, of: str) -> list[str]:
    """Names of the studies with a plan that retrains configs of the study `of`, the oldest first."""
    column = study_system_attributes.c
    query = (
        select(optuna_studies.c.study_name, column.value_json)
        .join(optuna_studies, optuna_studies.c.study_id == column.study_id)
        .where(column.key == PLAN)
        .order_by(column.study_id)
    )
    with engine.connect() as connection:
        return [name for name, plan in connection.execute(query) if json.loads(plan)["of"] == of]


def count(engine: Engine, study_id: int, token: str, kind: str) -> None:
    """Counts a plan of this kind, made for the study with this token to retrain configs of `study_id`."""
    with engine.begin() as connection:
        add_study_attributes(connection, study_id, {f"{COUNTED}{token}": kind})


def counted(engine: Engine, study_id: int) -> dict[str, str]:
    """The plans that were ever made to retrain configs of this study: token -> kind."""
    with engine.connect() as connection:
        return study_attributes(connection, study_id, COUNTED)


def slots(engine: Engine, study_id: int) -> list[Slot]:
    """All planned slots, in order."""
    with engine.connect() as connection:
        stored = study_attributes(connection, study_id, SLOT)
    return [Slot(**stored[number]) for number in sorted(stored, key=int)]


def slot(engine: Engine, study_id: int, number: int) -> Slot | None:
    """What slot `number` trains; None where it is not planned."""
    stored = attribute(engine, study_id, f"{SLOT}{number}")
    return None if stored is None else Slot(**stored)


def append(engine: Engine, study_id: int, planned: int, more: Sequence[Slot]) -> bool:
    """Adds slots to a plan that has `planned`, and raises the budget to their number.

    False, and nothing changes, where the plan has grown since it was read, or the study was deleted.
    """
    with engine.begin() as connection:
        if connection.scalar(lock(study_id)) is None:
            return False
        if len(study_attributes(connection, study_id, SLOT)) != planned:
            return False
        new = {f"{SLOT}{number}": asdict(each) for number, each in enumerate(more, planned)}
        add_study_attributes(connection, study_id, new)
        connection.execute(
            update(studies).where(studies.c.study_id == study_id).values(trials=planned + len(more))
        )
        return True
