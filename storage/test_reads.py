"""Reads of a labelled test split: counted before a score is known, in a table of our own.

A score that was picked among several reads of a test split is no test any more. So each read is a row with
the next number of its study, stored before anything is scored: a process that is killed between scoring and
showing has read the split all the same. Results are stored before they are shown.

Reading an old database that has no such table finds no reads.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, insert, inspect, select, update

from storage.clock import now
from storage.studies import lock
from storage.tables import test_reads


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadRow:
    """One read as stored.

    Attributes:
        number: from 1, in the order in which reads began.
        split: a hash of images and labels.
        begun_at, ended_at: seconds since 1970 by the database's clock; without an end there are no results.
        document: what was to be read, by which weights. results: their scores.
    """

    number: int
    split: str
    host: str
    begun_at: float
    ended_at: float | None
    document: Mapping[str, Any]
    results: Mapping[str, Any] | None


def begin(engine: Engine, study_id: int, split: str, host: str, document: Mapping[str, Any]) -> int:
    """Counts a read that is about to begin; returns its number, which is unique in the study."""
    count = select(func.count()).select_from(test_reads).where(test_reads.c.study_id == study_id)
    with engine.begin() as connection:
        connection.execute(lock(study_id))
        number = (connection.scalar(count) or 0) + 1
        connection.execute(
            insert(test_reads).values(
                study_id=study_id,
                number=number,
                split=split,
                host=host,
                begun_at=now(),
                document=json.dumps(document, allow_nan=False),
            )
        )
    return number


def end(engine: Engine, study_id: int, number: int, results: Mapping[str, Any]) -> None:
    """Stores the scores of a read."""
    row = (test_reads.c.study_id == study_id) & (test_reads.c.number == number)
    stored = json.dumps(results, allow_nan=False)
    with engine.begin() as connection:
        connection.execute(update(test_reads).where(row).values(results=stored, ended_at=now()))


def reads(engine: Engine, study_id: int) -> list[ReadRow]:
    """All reads of a study, in order."""
    if not inspect(engine).has_table(test_reads.name):
        return []
    columns = [column for column in test_reads.c if column.name != "study_id"]
    query = select(*columns).where(test_reads.c.study_id == study_id).order_by(test_reads.c.number)
    with engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
    return [
        ReadRow(
            **{
                **row,
                "document": json.loads(row["document"]),
                "results": None if row["results"] is None else json.loads(row["results"]),
            }
        )
        for row in rows
    ]


def reads_by_others(engine: Engine, study_id: int, split: str) -> int:
    """How often other studies of this database have read the split."""
    if not inspect(engine).has_table(test_reads.name):
        return 0
    others = (test_reads.c.study_id != study_id) & (test_reads.c.split == split)
    with engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(test_reads).where(others)) or 0)
