"""What optuna-dashboard shows on a page: a note, and artifacts, which are files in the artifact store.

Both are system attributes of Optuna's. A trial's are written in the one transaction that ends it; through
Optuna and optuna-dashboard it would take a dozen, any of which may come too late. A study's are those of
its last report. `tests/integration/study/test_pages.py` reads them back through theirs.
"""

import json
import mimetypes
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from sqlalchemy import Connection, Engine, delete, or_, select

from storage.artifacts import remove
from storage.attributes import add_attributes, add_study_attributes, study_attribute
from storage.studies import lock
from storage.tables import study_system_attributes, trial_system_attributes, trials

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

ARTIFACT = "artifacts:"  # begins the keys of Optuna's artifacts
NOTE = "dashboard:note"  # begins the keys of a study's note
ENDED = "search:told"  # how many ended trials the study's note covers
NOTE_PART = 2045  # characters of a note in one attribute, as optuna-dashboard cuts them

# A new Python installation knows neither.
MIME_TYPES = {".yaml": "text/plain", ".safetensors": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file in the store.

    Attributes:
        id: its key; hexadecimal digits and dashes, since optuna-dashboard serves no others.
    """

    id: str
    filename: str

    @classmethod
    def of(cls, study: UUID, number: int, filename: str) -> "Artifact":
        """The artifact of trial `number`, always with the same id: a second try overwrites the first."""
        return cls(str(uuid5(study, f"{number}/{filename}")), filename)

    @classmethod
    def of_study(cls, study: UUID, filename: str) -> "Artifact":
        """The artifact of the study itself, always with the same id."""
        return cls(str(uuid5(study, f"report/{filename}")), filename)

    def path(self, study_id: int, trial_id: int | None = None) -> str:
        """The path at which optuna-dashboard serves it; without a trial, the study's own."""
        of = f"{study_id}" if trial_id is None else f"{study_id}/{trial_id}"
        return f"/artifacts/{of}/{self.id}"

    @property
    def attribute(self) -> str:
        """The value of its system attribute, a string of JSON."""
        suffix = self.filename[self.filename.rfind(".") :]
        kind = MIME_TYPES.get(suffix) or mimetypes.guess_type(self.filename)[0]
        meta = {
            "artifact_id": self.id,
            "filename": self.filename,
            "mimetype": kind or "application/octet-stream",
            "encoding": None,
        }
        return json.dumps(meta)


@dataclass(frozen=True, slots=True)
class Page:
    """The page of a trial or a study: a note in Markdown, and artifacts that the store has."""

    note: str
    artifacts: Sequence[Artifact] = ()


def write(connection: Connection, study_id: int, trial_id: int, page: Page) -> None:
    """Stores the page of a trial that has none."""
    add_study_attributes(connection, study_id, _note(f"dashboard:{trial_id}:note", page.note, 1))
    add_attributes(connection, trial_system_attributes, _files(page), trial_id=trial_id)


def write_study(connection: Connection, study_id: int, page: Page, ended: int = 0) -> None:
    """Replaces the page of a study; artifacts of other names stay.

    Args:
        ended: how many ended trials it covers, where several processes write it as trials end. A page that
            covers fewer than the stored one is not stored.
    """
    # Locked, since of two pages at once each would be stored in part.
    if connection.execute(lock(study_id)).first() is None:
        return  # the study was deleted
    attribute = study_system_attributes
    if ended < int(study_attribute(connection, study_id, ENDED) or 0):
        return
    version = study_attribute(connection, study_id, f"{NOTE}_ver")
    # With another version number the dashboard refuses an edit that was begun on the old page.
    new = {**_note(NOTE, page.note, int(version or 0) + 1), **_files(page)}
    if ended:
        new[ENDED] = ended
    replaced = or_(attribute.c.key.startswith(f"{NOTE}_", autoescape=True), attribute.c.key.in_(new))
    connection.execute(delete(attribute).where(attribute.c.study_id == study_id, replaced))
    add_study_attributes(connection, study_id, new)


def _files(page: Page) -> dict[str, str | int]:
    return {ARTIFACT + artifact.id: artifact.attribute for artifact in page.artifacts}


def _note(prefix: str, text: str, version: int) -> dict[str, str | int]:
    """A note as optuna-dashboard stores it: its version and its parts."""
    parts = [text[start : start + NOTE_PART] for start in range(0, len(text), NOTE_PART)]
    return {f"{prefix}_ver": version, **{f"{prefix}_str:{n}": part for n, part in enumerate(parts)}}


def artifact_ids(engine: Engine, study_id: int) -> list[str]:
    """The ids of all artifacts of a study and its trials."""
    of_trials = select(trial_system_attributes.c.key).join(
        trials, trials.c.trial_id == trial_system_attributes.c.trial_id
    )
    own = study_system_attributes.c
    with engine.connect() as connection:
        keys = [
            *connection.scalars(
                select(own.key).where(own.study_id == study_id, own.key.startswith(ARTIFACT))
            ),
            *connection.scalars(
                of_trials.where(
                    trials.c.study_id == study_id, trial_system_attributes.c.key.startswith(ARTIFACT)
                )
            ),
        ]
    return [key.removeprefix(ARTIFACT) for key in keys]


def drop(
    engine: Engine, study_id: int, store: "ArtifactStore", filename: str, numbers: Collection[int]
) -> None:
    """Removes the artifacts called `filename` of trials with these numbers, from pages and store."""
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
        if artifact["filename"] != filename or row.number not in numbers:
            continue
        remove(store, artifact["artifact_id"])
        with engine.begin() as connection:
            # The whole row: the null that optuna-dashboard writes instead is more than Optuna can read.
            mine = attribute.c.trial_system_attribute_id == row.trial_system_attribute_id
            connection.execute(delete(attribute).where(mine))
