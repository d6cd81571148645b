"""What a study has beyond Optuna's row: document, fingerprint of its data, budget, a request to stop.

Every function is one transaction. Of several processes that create one study together, the first one's
stays, and the others read it.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    Select,
    case,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from storage import stop_rules, tables
from storage.attributes import add_study_attributes, study_attribute
from storage.clock import now
from storage.tables import TOKEN, insert_or_ignore, is_tied, leases, studies

Stop = Literal["drain", "now", "bugs"]

SAMPLER_CHANGED = "search:sampler-changed"
"""Attribute of a study whose trials were not all drawn by the sampler in its document."""


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study as stored."""

    study_id: int
    name: str
    document: Mapping[str, Any]
    fingerprint: Mapping[str, str]
    profile: str | None
    trials: int
    stop: Stop | None


def create(
    engine: Engine,
    name: str,
    direction: Literal["minimize", "maximize"],
    *,
    document: Mapping[str, Any],
    fingerprint: Mapping[str, str],
    profile: str | None,
    trials: int,
    attributes: Mapping[str, Any] | None = None,
) -> bool:
    """Adds a study to Optuna's tables and ours, in one transaction; False where its name is taken.

    So a study of Optuna's without a row of ours was made by another program.
    """
    with engine.begin() as connection:
        added = insert_or_ignore(connection, tables.optuna_studies).values(study_name=name)
        if connection.execute(added.execution_options(preserve_rowcount=True)).rowcount == 0:
            return False
        # Rows of ours whose study was deleted from Optuna's tables go before their ids are used again.
        for study_id in list(connection.scalars(select(studies.c.study_id).where(~is_tied()))):
            drop_rows(connection, study_id)
        query = select(tables.optuna_studies.c.study_id).filter_by(study_name=name)
        study_id = connection.scalars(query).one()
        connection.execute(
            insert(tables.directions).values(study_id=study_id, objective=0, direction=direction.upper())
        )
        token = uuid.uuid4().hex
        connection.execute(
            insert(studies).values(
                study_id=study_id,
                document=json.dumps(document),
                fingerprint=json.dumps(dict(fingerprint)),
                profile=profile,
                trials=trials,
                token=token,
                beat_at=now(),
                resumed_at=now(),
            )
        )
        add_study_attributes(connection, study_id, {TOKEN: token, **(attributes or {})})
        return True


def drop_rows(connection: Connection, study_id: int) -> None:
    """Removes our rows of a study, and leaves Optuna's."""
    its_workers = select(tables.workers.c.worker_id).filter_by(study_id=study_id)
    connection.execute(delete(tables.devices).where(tables.devices.c.worker_id.in_(its_workers)))
    for table in reversed(tables.ours.sorted_tables):  # those that refer to others first
        if "study_id" in table.c:
            connection.execute(delete(table).where(table.c.study_id == study_id))


def find(engine: Engine, name: str) -> StudyRow | None:
    """The study called `name`, if it is one of ours."""
    with engine.connect() as connection:
        rows = connection.execute(text(f"{OURS} WHERE studies.study_name = :name"), {"name": name})
        row = next((row for row in rows.mappings() if _is_tied(row)), None)
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


def names(engine: Engine) -> list[str]:
    """Names of all our studies in this database, sorted."""
    with engine.connect() as connection:
        rows = connection.execute(text(OURS)).mappings()
        return sorted(row["study_name"] for row in rows if _is_tied(row))


# All columns by `*`: a database that nobody has upgraded yet has no token, and is shown all the same.
OURS = f"""
    SELECT studies.study_name, attributes.value_json AS tie, search_studies.*
    FROM studies JOIN search_studies ON search_studies.study_id = studies.study_id
    LEFT JOIN study_system_attributes AS attributes
        ON attributes.study_id = studies.study_id AND attributes.key = '{TOKEN}'
"""


def _is_tied(row: RowMapping) -> bool:
    """As `tables.is_tied`, for a row of `OURS`."""
    return "token" not in row or row["tie"] == json.dumps(row["token"])


def token(engine: Engine, study_id: int) -> uuid.UUID:
    """A random name of this very study: another database may have a study of the same name.

    It begins the keys of the study in a store that several databases share.
    """
    return uuid.UUID(attribute(engine, study_id, TOKEN))


def name_of(engine: Engine, token: str) -> str | None:
    """The present name of the study with this token; None where there is none."""
    named = select(tables.optuna_studies.c.study_name).join(
        studies, studies.c.study_id == tables.optuna_studies.c.study_id
    )
    with engine.connect() as connection:
        return connection.scalar(named.where(studies.c.token == token, is_tied()))


def claimed(engine: Engine, study_id: int) -> int:
    """How many trials of the study have begun."""
    with engine.connect() as connection:
        return count_claimed(connection, study_id)


def count_claimed(connection: Connection, study_id: int) -> int:
    """As `claimed`, in the caller's transaction."""
    query = select(func.count()).select_from(leases).where(leases.c.study_id == study_id)
    return connection.scalar(query) or 0


def attribute(engine: Engine, study_id: int, key: str) -> Any:
    """The study's value of `key`; None where it has none."""
    with engine.connect() as connection:
        return study_attribute(connection, study_id, key)


def set_budget(engine: Engine, study_id: int, trials: int) -> int:
    """Sets the budget to `trials`, but not below what is claimed already; returns the new budget."""
    with engine.begin() as connection:
        connection.execute(lock(study_id))  # no claim may come between the count and the write
        budget = max(trials, count_claimed(connection, study_id))
        connection.execute(update(studies).where(studies.c.study_id == study_id).values(trials=budget))
        return budget


def set_document(
    engine: Engine,
    study_id: int,
    document: Mapping[str, Any],
    *,
    sampler_changed: bool = False,
    stop_changed: bool = False,
) -> None:
    """Replaces the document; the caller has checked that only settings of the search itself differ."""
    with engine.begin() as connection:
        connection.execute(lock(study_id))  # a claim judges the stop rule
        if stop_changed:
            stop_rules.forget(connection, study_id)
        if sampler_changed:
            add_study_attributes(connection, study_id, {SAMPLER_CHANGED: True})
        connection.execute(
            update(studies).where(studies.c.study_id == study_id).values(document=json.dumps(document))
        )


def set_stop(engine: Engine, study_id: int, stop: Stop | None) -> None:
    """Asks every worker of the study to stop (`drain`: after its trial); None takes that back."""
    with engine.begin() as connection:
        connection.execute(update(studies).where(studies.c.study_id == study_id).values(stop=stop))


def bugs_in_a_row(engine: Engine, study_id: int) -> int:
    """How many trials in a row have failed, counted back from the one that finished last; at most 10."""
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


def stop_after_bugs(engine: Engine, study_id: int, limit: int) -> None:
    """Stops the study where its last `limit` trials have all failed; see `bugs_in_a_row`."""
    if bugs_in_a_row(engine, study_id) >= limit:
        set_stop(engine, study_id, "bugs")


def mark_alive(connection: Connection, study_ids: Sequence[int] | Select[tuple[int]], lease: float) -> None:
    """Records a sign of life. After a gap of more than half a lease, all leases count from now on."""
    gap = lease / 2
    connection.execute(
        update(studies)
        .where(studies.c.study_id.in_(study_ids))
        .values(
            resumed_at=case((now() - studies.c.beat_at > gap, now()), else_=studies.c.resumed_at),
            beat_at=now(),
        )
    )


def undo_clock_jump(connection: Connection, study_ids: Sequence[int] | Select[tuple[int]]) -> None:
    """Makes times in the future `now`: they are from before the clock was set back.

    Otherwise the trial of an owner that died before would wait until the clock is there again.
    """
    for table, column in (
        (studies, studies.c.beat_at),
        (studies, studies.c.resumed_at),
        (leases, leases.c.renewed_at),
        (tables.workers, tables.workers.c.seen_at),
    ):
        in_future = table.c.study_id.in_(study_ids) & (column > now())
        connection.execute(update(table).where(in_future).values({column: now()}))


def lock(study_id: int) -> Any:
    """SELECT of Optuna's row FOR NO KEY UPDATE: a study's lock, for transactions that read, then write.

    It excludes itself and the lock that Optuna takes to number a trial (FOR UPDATE), but not rows that
    only refer to the study. Otherwise there would be a deadlock: a worker that ends its trial holds the
    lease and writes attributes of the study, while a claim holds the study and may take a lease. SQLite
    has no such clause and needs none, since the transaction began with BEGIN IMMEDIATE.
    """
    return (
        select(tables.optuna_studies.c.study_id)
        .where(tables.optuna_studies.c.study_id == study_id)
        .with_for_update(key_share=True)
    )
