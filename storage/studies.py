"""What a study is beyond Optuna's row: its document, its data's fingerprint, its budget, a wish to stop.

Every function is one transaction. Creation is first come, first served: of several processes that
create one study together, one row stays and all of them read it.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Select, case, func, insert, select, update

from storage import tables
from storage.tables import leases, now, studies

Stop = Literal["drain", "now", "bugs"]

TOKEN = "search:token"


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study as stored; `document` and `fingerprint` as they were when it was created."""

    study_id: int
    name: str
    document: Mapping[str, Any]
    fingerprint: Mapping[str, str]
    profile: str | None
    trials: int
    stop: Stop | None


def register(
    engine: Engine,
    study_id: int,
    *,
    document: Mapping[str, Any],
    fingerprint: Mapping[str, str],
    profile: str | None,
    trials: int,
    attributes: Mapping[str, Any] | None = None,
) -> bool:
    """Adds our row and attributes to Optuna's study; False where another process had done so."""
    with engine.begin() as connection:
        # Optuna's row is the lock: it exists, so two creators cannot both find ours missing.
        connection.execute(lock(study_id))
        if connection.scalar(select(studies.c.study_id).where(studies.c.study_id == study_id)) is not None:
            return False
        connection.execute(
            insert(studies).values(
                study_id=study_id,
                document=json.dumps(document),
                fingerprint=json.dumps(dict(fingerprint)),
                profile=profile,
                trials=trials,
                beat_at=now(),
                resumed_at=now(),
            )
        )
        for key, value in (attributes or {}).items():
            row = {"study_id": study_id, "key": key, "value_json": json.dumps(value)}
            connection.execute(insert(tables.study_system_attributes).values(**row))
        return True


def find(engine: Engine, name: str) -> StudyRow | None:
    """The study called `name`, if it is one of ours."""
    query = (
        select(tables.optuna_studies.c.study_name, studies)
        .join(studies, studies.c.study_id == tables.optuna_studies.c.study_id)
        .where(tables.optuna_studies.c.study_name == name)
    )
    with engine.connect() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return StudyRow(
        study_id=row["study_id"],
        name=row["study_name"],
        document=json.loads(row["document"]),
        fingerprint=json.loads(row["fingerprint"]),
        profile=row["profile"],
        trials=row["trials"],
        stop=row["stop"],
    )


def token(engine: Engine, study_id: int) -> uuid.UUID:
    """A random name of this very study, the same for everyone: another database may have one called alike.

    It begins the keys of the study in a store that several share. Made by the first who asks.
    """
    attribute = tables.study_system_attributes
    mine = {"study_id": study_id, "key": TOKEN, "value_json": json.dumps(uuid.uuid4().hex)}
    query = select(attribute.c.value_json).where(attribute.c.study_id == study_id, attribute.c.key == TOKEN)
    with engine.begin() as connection:
        stored = connection.scalar(query)
        if stored is None:
            connection.execute(tables.insert_or_ignore(connection, attribute).values(**mine))
            stored = connection.scalar(query)
    return uuid.UUID(json.loads(str(stored)))


def attribute(engine: Engine, study_id: int, key: str) -> Any:
    """What was stored under `key` when the study was created; None where nothing was."""
    column = tables.study_system_attributes.c
    query = select(column.value_json).where(column.study_id == study_id, column.key == key)
    with engine.connect() as connection:
        stored = connection.scalar(query)
    return None if stored is None else json.loads(stored)


def names(engine: Engine) -> list[str]:
    """Names of all our studies in this database, sorted."""
    query = select(tables.optuna_studies.c.study_name).join(
        studies, studies.c.study_id == tables.optuna_studies.c.study_id
    )
    with engine.connect() as connection:
        return sorted(connection.scalars(query))


def set_budget(engine: Engine, study_id: int, trials: int) -> int:
    """Makes `trials` the budget, or what is claimed already where that is more; returns the new one."""
    with engine.begin() as connection:
        connection.execute(lock(study_id))  # no claim slips in between the count and the write
        claimed = connection.scalar(
            select(func.count()).select_from(leases).where(leases.c.study_id == study_id)
        )
        budget = max(trials, claimed or 0)
        connection.execute(update(studies).where(studies.c.study_id == study_id).values(trials=budget))
        return budget


def set_document(engine: Engine, study_id: int, document: Mapping[str, Any]) -> None:
    """Replaces the stored document; the caller has checked that only the search's own settings differ."""
    with engine.begin() as connection:
        connection.execute(
            update(studies).where(studies.c.study_id == study_id).values(document=json.dumps(document))
        )


def set_stop(engine: Engine, study_id: int, stop: Stop | None) -> None:
    """Asks every worker of the study to stop (`drain`: after its trial), or takes that back (None)."""
    with engine.begin() as connection:
        connection.execute(update(studies).where(studies.c.study_id == study_id).values(stop=stop))


def bugs_in_a_row(engine: Engine, study_id: int) -> int:
    """How many of the last finished trials of the study failed, counted back from the latest."""
    query = (
        select(tables.trials.c.state)
        .join(leases, leases.c.trial_id == tables.trials.c.trial_id)
        .where(leases.c.study_id == study_id, leases.c.finished_at.is_not(None))
        .order_by(leases.c.finished_at.desc())
        .limit(10)
    )
    with engine.connect() as connection:
        states = list(connection.scalars(query))
    return next((count for count, state in enumerate(states) if state != "FAIL"), len(states))


def mark_alive(connection: Connection, study_ids: Sequence[int] | Select[tuple[int]], lease: float) -> None:
    """Notes that somebody can be heard; after a gap the studies' leases, of `lease` seconds, start anew."""
    gap = lease / 2
    connection.execute(
        update(studies)
        .where(studies.c.study_id.in_(study_ids))
        .values(
            resumed_at=case((now() - studies.c.beat_at > gap, now()), else_=studies.c.resumed_at),
            beat_at=now(),
        )
    )


def lock(study_id: int) -> Any:
    """SELECT of Optuna's row FOR NO KEY UPDATE: the one lock of everything that counts or creates trials.

    It excludes itself and what Optuna takes to number a trial (FOR UPDATE), and leaves alone who only
    refers to the study: a worker that ends its trial holds the lease and writes attributes of the study,
    a claim holds the study and may take a lease, and each would wait for the other. SQLite has no such
    clause and needs none: the transaction began with BEGIN IMMEDIATE.
    """
    return (
        select(tables.optuna_studies.c.study_id)
        .where(tables.optuna_studies.c.study_id == study_id)
        .with_for_update(key_share=True)
    )
