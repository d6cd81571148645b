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
from storage.attributes import add_study_attributes, insert_study_attributes, study_attribute
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
        insert_study_attributes(connection, study_id, attributes or {})
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
    with engine.begin() as connection:
        stored = study_attribute(connection, study_id, TOKEN)
        if stored is None:
            add_study_attributes(connection, study_id, {TOKEN: uuid.uuid4().hex})
            stored = study_attribute(connection, study_id, TOKEN)
    return uuid.UUID(stored)


def attribute(engine: Engine, study_id: int, key: str) -> Any:
    """What the study has under `key`; None where it has nothing."""
    with engine.connect() as connection:
        return study_attribute(connection, study_id, key)


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
    """SELECT of Optuna's row FOR NO KEY UPDATE: the one lock of a study, for who reads before it writes.

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
