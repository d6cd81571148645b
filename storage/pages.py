"""What optuna-dashboard shows on a trial's page: a note, and artifacts, files in the artifact store.

Both are Optuna system attributes, written here in the one transaction that ends the trial: through
Optuna and optuna-dashboard they would be a dozen, any of which may come too late. `tests/test_pages.py`
reads them back through theirs.
"""

import json
import mimetypes
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from sqlalchemy import Connection, Engine, delete, select

from storage.tables import insert_or_ignore, study_system_attributes, trial_system_attributes, trials

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

ARTIFACT = "artifacts:"  # begins the keys of Optuna's artifacts
NOTE_PART = 2045  # characters of a note in one attribute, as optuna-dashboard cuts them

# Of a fresh Python installation, which knows neither.
MIME_TYPES = {".yaml": "text/plain", ".safetensors": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file in the store: the key it lies under, and its name.

    Attributes:
        id: hexadecimal digits and dashes: optuna-dashboard serves no others.
    """

    id: str
    filename: str

    @classmethod
    def of(cls, study: UUID, number: int, filename: str) -> "Artifact":
        """The artifact of trial `number`; always with the same id: a second try writes over the first."""
        return cls(str(uuid5(study, f"{number}/{filename}")), filename)

    def path(self, study_id: int, trial_id: int) -> str:
        """Where optuna-dashboard serves it."""
        return f"/artifacts/{study_id}/{trial_id}/{self.id}"

    @property
    def attribute(self) -> str:
        """Its system attribute as Optuna stores it: JSON in JSON."""
        suffix = self.filename[self.filename.rfind(".") :]
        kind = MIME_TYPES.get(suffix) or mimetypes.guess_type(self.filename)[0]
        meta = {
            "artifact_id": self.id,
            "filename": self.filename,
            "mimetype": kind or "application/octet-stream",
            "encoding": None,
        }
        return json.dumps(json.dumps(meta))


@dataclass(frozen=True, slots=True)
class Page:
    """A trial's page: a note in Markdown, and artifacts that are in the store already."""

    note: str
    artifacts: Sequence[Artifact] = ()


def write(connection: Connection, study_id: int, trial_id: int, page: Page) -> None:
    """Stores the page of a trial that has none yet."""
    prefix = f"dashboard:{trial_id}:note"
    parts = [page.note[start : start + NOTE_PART] for start in range(0, len(page.note), NOTE_PART)]
    note = {f"{prefix}_ver": 1, **{f"{prefix}_str:{index}": part for index, part in enumerate(parts)}}
    for key, value in note.items():
        connection.execute(
            insert_or_ignore(connection, study_system_attributes).values(
                study_id=study_id, key=key, value_json=json.dumps(value)
            )
        )
    for artifact in page.artifacts:
        connection.execute(
            insert_or_ignore(connection, trial_system_attributes).values(
                trial_id=trial_id, key=ARTIFACT + artifact.id, value_json=artifact.attribute
            )
        )


def drop(
    engine: Engine, study_id: int, store: "ArtifactStore", filename: str, kept: Collection[int]
) -> None:
    """Removes the artifacts called `filename` of all trials but `kept`, from pages and store."""
    from optuna.artifacts.exceptions import ArtifactNotFound

    attribute = trial_system_attributes
    with engine.connect() as connection:
        rows = connection.execute(
            select(attribute, trials.c.number)
            .join(trials, trials.c.trial_id == attribute.c.trial_id)
            .where(
                trials.c.study_id == study_id,
                attribute.c.key.startswith(ARTIFACT),
                attribute.c.value_json.contains(filename),
            )
        ).all()
    for row in rows:
        artifact = json.loads(json.loads(row.value_json))
        if artifact["filename"] != filename or row.number in kept:
            continue
        with suppress(ArtifactNotFound):  # another worker tidies up, too
            store.remove(artifact["artifact_id"])
        with engine.begin() as connection:
            # The whole row: the null that optuna-dashboard writes instead is more than Optuna can read.
            mine = attribute.c.trial_system_attribute_id == row.trial_system_attribute_id
            connection.execute(delete(attribute).where(mine))
