"""What a report is written from: records, and what the folders of two trials hold. Plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.analysis.ablation import Ablation
from search.analysis.confirmation import Confirmation
from search.analysis.importance import Importance
from search.analysis.test_split import HeldOut
from search.recorded_run import RecordedRun
from search.records import ImportedRun, Record, Snapshot
from search.spec.spec import Spec
from search.study.plan import Prediction

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial that a report looks at closely.

    Attributes:
        run: settings and scores as the database holds them; the other columns from the trial's folder.
        folder: where that is.
        missing: why there are no other columns, where there are none.
        metric: what its score is, in words.
        provenance: device, versions and the like by name, as `config.yaml` has them.
        data: where its data came from, as a path or in words; None where it is not recorded.
        classes: names of the classes of `val_f_per_class`; empty where they are not recorded.
    """

    record: Record
    run: RecordedRun
    folder: Path
    missing: str | None = None
    metric: str
    provenance: Mapping[str, Any]
    data: str | None = None
    classes: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def overlay(self) -> Path | None:
        """Its picture of faces, where this machine has it."""
        path = self.folder / "overlay.png"
        return path if path.is_file() else None


@dataclass(frozen=True, kw_only=True)
class Material:
    """A study as a report sees it.

    Attributes:
        records: all trials by number, with their curves.
        fingerprint: of the data, part by part.
        best: the best complete trial.
        baseline: what it is held against; None where there is none, which `no_baseline` explains.
        importance: None where too few trials are complete.
        confirmation: what fresh seeds said, as far as `search confirm` is. None: nothing was retrained.
        ablations: what `search ablate` found so far, for each pair of configs that it was asked about.
        predicted: how lucky the best is expected to be; None where the search does not tell enough.
        imported: runs that were not trained here, by name.
        held_out: what `search report --final` has read of the test split; None where it has read nothing.
        ends: where the first four stages of a training end; None where each run's own rule says so.
    """

    snapshot: Snapshot
    records: Sequence[Record]
    spec: Spec
    fingerprint: Mapping[str, str]
    best: Trial
    baseline: Trial | None
    no_baseline: str = ""
    importance: Importance | None = None
    confirmation: Confirmation | None = None
    ablations: Sequence[Ablation] = ()
    predicted: Prediction | None = None
    imported: Sequence[ImportedRun] = ()
    held_out: HeldOut | None = None
    ends: Sequence[int] | None = None

    @property
    def study(self) -> str:
        return self.snapshot.study

    @property
    def smooth(self) -> int:
        return self.snapshot.smooth

    @property
    def complete(self) -> list[Record]:
        """Trials that ran to their end, or stopped there of their own accord, one of each config."""
        return [record for record in self.records if record.is_candidate]

    @property
    def is_own_baseline(self) -> bool:
        return self.baseline is not None and self.baseline.record.number == self.best.record.number

    @property
    def roles(self) -> list[tuple[str, Trial]]:
        """The baseline and the best with their parts in the report; the best alone where it is both."""
        best = ("Best", self.best)
        if self.baseline is None or self.is_own_baseline:
            return [best]
        return [("Baseline", self.baseline), best]
