"""A study: its document and fingerprint in the database, created once, opened by everyone.

The study keeps the resolved document and a fingerprint of the data; who joins needs neither file nor
flags, only the storage, the name and the same data. Importing this file does not import Optuna:
`search status` reads a study without it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from search.errors import StudyError
from search.objective import NOTHING, Description
from search.spec.spec import Spec
from search.study.origin import ORIGIN, Origin
from search.study.plan import Plan, Planned
from storage import engine as engines
from storage import plans, studies
from storage.studies import StudyRow

if TYPE_CHECKING:
    import optuna

    from storage.samples import Samples

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}")
"""What a study may be called: its name is a folder's, too, and stands in commands."""


@dataclass(frozen=True)
class Study:
    """An open study: what was stored, and the ways to its tables."""

    row: StudyRow
    spec: Spec
    url: str
    engine: Engine

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def id(self) -> int:
        return self.row.study_id

    @cached_property
    def plan(self) -> Plan | None:
        """What it retrains, by which rule; None for a study that samples."""
        stored = plans.read(self.engine, self.id)
        return None if stored is None else Plan.from_json(stored)

    def planned(self, slot: int) -> Planned | None:
        """What a slot retrains; None where the study samples.

        Raises StudyError for a slot that is not planned.
        """
        if self.plan is None:
            return None
        found = plans.slot(self.engine, self.id, slot)
        if found is None:
            raise StudyError(f"study {self.name!r} has no plan for slot {slot}")
        return self.plan.planned(found.config, found.block, found.seed)

    @cached_property
    def origin(self) -> Origin | None:
        """What it was started from; None where that was nothing."""
        stored = studies.attribute(self.engine, self.id, ORIGIN)
        return None if stored is None else Origin.from_document(stored)

    @cached_property
    def samples(self) -> "Samples":
        """Its trials as samplers see them."""
        from storage.samples import Samples

        return Samples(self.engine, self.id)

    @cached_property
    def optuna(self) -> "optuna.Study":
        """Optuna's own view of it, for Optuna's own pruners; reads every trial, and running ones often."""
        import optuna

        storage = engines.optuna_storage(self.url)
        return optuna.load_study(study_name=self.name, storage=storage, pruner=optuna.pruners.NopPruner())


def create_study(
    url: str,
    name: str,
    spec: Spec,
    fingerprint: Mapping[str, str],
    trials: int,
    attributes: Mapping[str, Any] = NOTHING,
) -> bool:
    """Creates the study, whose data have `fingerprint`, with attributes by key.

    False where another process had created it before.
    """
    import optuna

    engines.prepare(url)
    created = optuna.create_study(
        study_name=name,
        storage=engines.optuna_storage(url),
        direction=spec.study.direction,
        load_if_exists=True,
    )
    engine = engines.connect(url)
    try:
        return studies.register(
            engine,
            created._study_id,
            document=spec.document,
            fingerprint=fingerprint,
            profile=spec.profile,
            trials=trials,
            attributes=attributes,
        )
    finally:
        engine.dispose()


def find_study(url: str, name: str, *, read_only: bool = False, flag: str = "--study") -> Study | None:
    """The study called `name` at `url`, if there is one; raises StudyError for what is no name.

    Args:
        flag: what the name was given by.
    """
    if not NAME.fullmatch(name):
        shown = name if len(name) <= 60 else f"{name[:57]}..."
        raise StudyError(
            f"{flag}: {shown!r} is not a study's name; use up to 120 letters, digits, _ - and ., "
            "with no - or . before them"
        )
    if not engines.exists(url):
        return None
    engine = engines.connect(url, read_only=read_only)
    with engines.said_in_one_line(url):
        row = studies.find(engine, name)
    if row is None:
        engine.dispose()
        return None
    spec = Spec.from_document(dict(row.document), origin=f"study {name!r}")
    return Study(row=row, spec=spec, url=url, engine=engine)


def open_study(url: str, name: str, *, read_only: bool = False) -> Study:
    """The study called `name`; raises StudyError, with the names there are, where there is none."""
    study = find_study(url, name, read_only=read_only)
    if study is not None:
        return study
    there = study_names(url)
    others = f"; there are: {', '.join(there)}" if there else ""
    raise StudyError(
        f"--study: no study {name!r} in {engines.redacted(url)}{others}; "
        f"`search start --study {name}` makes it"
    )


def study_names(url: str) -> list[str]:
    """Names of the studies at `url`; none where there is no database yet."""
    if not engines.exists(url):
        return []
    engine = engines.connect(url, read_only=True)
    try:
        with engines.said_in_one_line(url):
            return studies.names(engine)
    finally:
        engine.dispose()


def fingerprint_of(description: Description | None) -> dict[str, str]:
    """What changes when the data do, by name; nothing where the objective says nothing of them."""
    return dict(description.fingerprint) if description else {}


def check_data(study: Study, description: Description | None) -> None:
    """Raises StudyError where this machine's data are not the study's; the message has the difference."""
    different = data_differences(study, description)
    if different:
        parts = ", ".join(f"{key} {ours} (the study has {theirs})" for key, ours, theirs in different)
        raise StudyError(
            f"--data: these are not the data of study {study.name!r}: {parts}; use the same data"
        )


def data_differences(
    study: Study, description: Description | None
) -> list[tuple[str, str | None, str | None]]:
    """Parts of the fingerprint in which data differ from the study's: name, these data's, the study's."""
    ours = fingerprint_of(description)
    theirs = dict(study.row.fingerprint)
    keys = sorted({*ours, *theirs})
    return [(key, ours.get(key), theirs.get(key)) for key in keys if ours.get(key) != theirs.get(key)]
