"""An open study: what the database keeps of it, and the ways to its tables.

Importing this file does not import Optuna: `search status` reads a study without it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Engine

from search.errors import StudyError
from search.spec.spec import Spec
from search.study.origin import ORIGIN, Origin
from search.study.plan import Plan, PlannedTraining
from storage import engine as engines
from storage import plans, studies
from storage.studies import StudyRow

if TYPE_CHECKING:
    import optuna

    from storage.samples import Samples


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
        """What it retrains, and by which rule; None for a study that samples."""
        stored = plans.read(self.engine, self.id)
        return None if stored is None else Plan.from_json(stored)

    def planned(self, slot: int) -> PlannedTraining | None:
        """What a slot retrains; None for a study that samples.

        Raises:
            StudyError: the slot is not planned.
        """
        if self.plan is None:
            return None
        planned = plans.slot(self.engine, self.id, slot)
        if planned is None:
            raise StudyError(f"study {self.name!r} has no plan for slot {slot}")
        return self.plan.planned(planned.config, planned.block, planned.seed)

    @cached_property
    def token(self) -> UUID:
        """A random name of this very study, with which its keys in a store begin; read once."""
        return studies.token(self.engine, self.id)

    @cached_property
    def origin(self) -> Origin | None:
        """The study it was started from; None where there is none."""
        stored = studies.attribute(self.engine, self.id, ORIGIN)
        return None if stored is None else Origin.from_document(stored)

    @cached_property
    def samples(self) -> "Samples":
        """Its trials as samplers see them."""
        from storage.samples import Samples

        return Samples(self.engine, self.id)

    @cached_property
    def optuna(self) -> "optuna.Study":
        """Optuna's own view of it, for Optuna's own pruners; it reads every trial, running ones often."""
        import optuna

        storage = engines.optuna_storage(self.url)
        return optuna.load_study(study_name=self.name, storage=storage, pruner=optuna.pruners.NopPruner())
