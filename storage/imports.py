"""Imported runs: a table of our own, which no sampler, pruner or "best" ever reads.

A run is a row. What a list shows has columns, the rest (settings, curve) is JSON. Reads work on an old
database that has no such table, and then find nothing. A name is found in either form that Unicode has for
accented letters (NFC, NFD), whichever it was stored in.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, inspect, select

from storage.clock import now
from storage.studies import lock
from storage.tables import imports

LISTED = ("name", "source", "metric", "value", "best_score", "best_epoch", "epochs")
"""The columns of a list; `search.records.ImportedRun` says what they hold."""


def put(engine: Engine, study_id: int, runs: Sequence[Mapping[str, Any]], *, replace: bool) -> list[str]:
    """Stores `runs`, all or none, in one transaction.

    Args:
        runs: the `LISTED` columns of each, and as `document` everything else, JSON values by name.

    Returns:
        Names that exist already, unless `replace`; then nothing was stored.
    """
    names = [run["name"] for run in runs]
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
            [{**run, "document": json.dumps(run["document"], allow_nan=False)} for run in runs],
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
