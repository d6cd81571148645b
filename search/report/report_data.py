"""What a report is written from: records, and what the folders of two trials hold. Plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from search.analysis.ablation import Ablation
from search.analysis.comparison import Comparison, compare
from search.analysis.confirmation import Confirmation
from search.analysis.expected_gain import ExpectedGain, expected_gain
from search.analysis.importance import Importance
from search.analysis.split_scores import SplitScores
from search.objective import NOTHING
from search.recorded_run import RecordedRun
from search.records import ImportedRun, Record, Snapshot
from search.render.document import Block
from search.spec.spec import Spec
from search.study.plan import Prediction

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, kw_only=True)
class ReportedTrial:
    """A trial that a report looks at closely.

    Attributes:
        run: settings and scores as the database holds them; the other columns from the trial's folder.
        folder: where that is.
        missing: why there are no other columns, if there are none.
        metric: what its score is, in words.
        provenance: device, versions and the like by name, as `config.yaml` has them.
        data: where its data came from, as a path or in words; None if that is not recorded.
        classes: names of the classes, in the order of their scores; empty if they are not recorded.
    """

    record: Record
    run: RecordedRun
    folder: Path
    missing: str | None = None
    metric: str
    provenance: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    data: str | None = None
    classes: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.run.name


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """A study as a report sees it.

    Attributes:
        records: all trials by number, with their curves.
        blind: trials whose configs were drawn without regard to results.
        fingerprint: of the data, part by part.
        best: the best complete trial.
        baseline: what it is compared with; None if there is none, which `no_baseline` explains.
        importance: None if too few trials are complete.
        confirmations: the answers on fresh seeds so far, one per race: those of `search confirm`,
            the oldest first, and the last stage's.
        deleted_races: how many more races there were.
        ablations: the answers of `search ablate` so far, one per pair of configs it was asked about.
        predicted: how lucky the best is expected to be; None if the search is too small to tell.
        imported: runs that were not trained here, by name.
        test: what `search report --final` has read of the test split; None if it has read nothing.
        ends: where the first four stages of a training end; None if each run's own rule decides.
        folder: where the report is written.
        stages: of the search, and what each says about the one before; empty for a search without stages.
    """

    snapshot: Snapshot
    records: Sequence[Record]
    blind: Sequence[Record]
    spec: Spec
    fingerprint: Mapping[str, str]
    best: ReportedTrial
    baseline: ReportedTrial | None
    no_baseline: str = ""
    importance: Importance | None = None
    confirmations: Sequence[Confirmation] = ()
    deleted_races: int = 0
    ablations: Sequence[Ablation] = ()
    predicted: Prediction | None = None
    imported: Sequence[ImportedRun] = ()
    test: SplitScores | None = None
    ends: Sequence[int] | None = None
    stages: Sequence[Block] = ()
    folder: Path = Path("report")

    @property
    def study(self) -> str:
        return self.snapshot.study

    @property
    def smooth(self) -> int:
        return self.snapshot.smooth

    @property
    def complete(self) -> list[Record]:
        """Trials that ran to their end or stopped early by themselves, one of each config."""
        return [record for record in self.records if record.is_candidate]

    @property
    def compared(self) -> ReportedTrial | None:
        """The baseline, unless it is the best itself."""
        is_best = self.baseline is not None and self.baseline.record.number == self.best.record.number
        return None if is_best else self.baseline

    @property
    def roles(self) -> list[tuple[str, ReportedTrial]]:
        """The baseline and the best with their roles in the report; the best alone if it is both."""
        baseline = [] if self.compared is None else [("Baseline", self.compared)]
        return [*baseline, ("Best", self.best)]

    @cached_property
    def gain(self) -> ExpectedGain | None:
        """Of the best over the baseline with other seeds; None without a baseline or trials enough."""
        if self.compared is None:
            return None
        return expected_gain(self.records, self.compared.record.value, self.snapshot.direction)

    @cached_property
    def comparison(self) -> Comparison | None:
        """The best beside the baseline; None if there is no baseline, or it is the best itself."""
        if self.compared is None:
            return None
        return compare(self.compared.run, self.best.run, ends=self.ends)
