"""Imported runs: a table of our own, which no sampler, pruner or "best" ever reads.

A run is a row. What a list shows has columns, the rest (settings, curve) is JSON. Reads work on an old
database that has no such table, and then find nothing. A name is found in either form that Unicode has for
accented letters (NFC, NFD), whichever it was stored in.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, inspect, select

from storage.clock import now
from storage.studies import lock
from storage.tables import imports

LISTED = ("name", "source", "metric", "value", "best_score", "best_epoch", "epochs")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedRow:
    """One run as stored.

    Attributes:
        name: unique in its study.
        source: the folder or file that it was read from.
        metric: what its scores are, in words.
        value: comparable with a trial's, where the metric is; None without a curve.
        best_score, best_epoch, epochs: of its curve or as given; None where neither says them.
        document: everything else as JSON values.
    """

    name: str
    source: str
    metric: str
    value: float | None
    best_score: float
    best_epoch: int | None
    epochs: int | None
    document: Mapping[str, Any]


def put(engine: Engine, study_id: int, runs: Sequence[ImportedRow], *, replace: bool) -> list[str]:
    """Stores `runs`, all or none, in one transaction.

    Returns:
        Names that exist already, unless `replace`; then nothing was stored.
    """
    names = [run.name for run in runs]
    of_study = imports.c.study_id == study_id
    with engine.begin() as connection:
        connection.execute(lock(study_id))  # two imports of one name come one after the other
        query = select(imports.c.name).where(of_study, imports.c.name.in_(_spellings(names)))
        existing = list(connection.scalars(query))
        if existing and not replace:
            return existing
        connection.execute(delete(imports).where(of_study, imports.c.name.in_(existing)))
        connection.execute(
            insert(imports).values(study_id=study_id, imported_at=now()),
            [
                {
                    **{column: getattr(run, column) for column in LISTED},
                    "document": json.dumps(run.document, allow_nan=False),
                }
                for run in runs
            ],
        )
    return []


def remove(engine: Engine, study_id: int, names: Sequence[str]) -> list[str]:
    """Removes the runs called `names`, all or none, in one transaction.

    Returns:
        Names that do not exist; then nothing was removed.
    """
    named = (imports.c.study_id == study_id) & imports.c.name.in_(_spellings(names))
    with engine.begin() as connection:
        connection.execute(lock(study_id))  # an import of one of the names comes before or after
        existing = set(connection.scalars(select(imports.c.name).where(named)))
        missing = [name for name in names if existing.isdisjoint(_spellings([name]))]
        if not missing:
            connection.execute(delete(imports).where(named))
    return missing


def listed(engine: Engine, study_id: int) -> list[Row[Any]]:
    """The `LISTED` columns of a study's imported runs, by name."""
    if not inspect(engine).has_table(imports.name):
        return []
    columns = [imports.c[column] for column in LISTED]
    query = select(*columns).where(imports.c.study_id == study_id).order_by(imports.c.name)
    with engine.connect() as connection:
        return list(connection.execute(query))


def find(engine: Engine, study_id: int, name: str) -> Mapping[str, Any] | None:
    """The document of the imported run called `name`; None where there is none."""
    if not inspect(engine).has_table(imports.name):
        return None
    named = (imports.c.study_id == study_id) & imports.c.name.in_(_spellings([name]))
    query = select(imports.c.document).where(named)
    with engine.connect() as connection:
        stored = connection.scalar(query)
    return None if stored is None else dict(json.loads(stored))


def _spellings(names: Sequence[str]) -> list[str]:
    """Each name as it is, and in both of Unicode's forms."""
    forms = [unicodedata.normalize(form, name) for name in names for form in ("NFC", "NFD")]
    return [*names, *forms]
