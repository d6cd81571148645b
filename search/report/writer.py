"""A report from its sections to its files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from search.analysis.noise import Evidence
from search.analysis.training import peak
from search.records import finite
from search.render import html, markdown
from search.render.document import Document, ReportSection
from search.report import curve_figures, figures
from search.report.report_data import ReportData, ReportedTrial
from search.report.sections import SECTIONS
from search.report.sections.in_short import in_short
from search.report.sections.reproduction import DOCUMENT

MARKDOWN, HTML = "report.md", "report.html"


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report on disk, and its main numbers.

    Attributes:
        folder: with `report.md`, `report.html`, `space.yaml` and `figures/`.
    """

    folder: Path
    document: Document
    numbers: Mapping[str, Any]

    @property
    def paths(self) -> list[Path]:
        """The two forms of the report."""
        return [self.folder / MARKDOWN, self.folder / HTML]

    def to_json(self) -> dict[str, Any]:
        """The object of `search report --json`."""
        text, page = map(str, self.paths)
        drawn = [str(self.folder / figure.path) for figure in self.document.figures]
        return finite({**self.numbers, "markdown": text, "html": page, "figures": drawn})


def write_report(data: ReportData, folder: Path) -> WrittenReport:
    """Writes the report on `data` into `folder`, over an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    data = replace(data, folder=folder)
    # A new study can start from this document; a profile's changes are already in it.
    space = {name: value for name, value in data.spec.document.items() if name != "profile"}
    (folder / DOCUMENT).write_text(yaml.safe_dump(space, sort_keys=False, allow_unicode=True))
    examples = data.best.run.vocabulary.example_words[1].capitalize()
    sections = [
        ReportSection(title.format(examples=examples), blocks)
        for title, section in SECTIONS.items()
        if (blocks := list(section(data)))
    ]
    document = Document(f"Report on the study {data.study}", in_short(data), sections)
    for figure in document.figures:
        figure.draw(folder / figure.path)
    (folder / MARKDOWN).write_text(markdown.render(document), encoding="utf-8")
    (folder / HTML).write_text(html.render(document, folder), encoding="utf-8")
    return WrittenReport(folder, document, _numbers(data))


def draw_trial(trial: ReportedTrial, smooth: int, folder: Path) -> Path:
    """Draws the four panels of one training into `folder`; returns the file."""
    path = folder / figures.FOLDER / f"trial-{trial.record.number:04d}.png"
    curve_figures.four_panels(path, trial.run, smooth)
    return path


def _numbers(data: ReportData) -> dict[str, Any]:
    evidence = data.comparison.evidence if data.comparison else None
    return {
        "study": data.study,
        "best": _trial_numbers(data.best, data.smooth),
        "baseline": None if data.baseline is None else _trial_numbers(data.baseline, data.smooth),
        "difference": evidence and _difference(evidence),
        "verdict": None if evidence is None else evidence.verdict,
        "gain": None if data.gain is None else data.gain.to_json(),
        "fresh_seeds": [race.to_json() for race in data.confirmations],
        "target": data.snapshot.target,
        "test": None if data.test is None else data.test.to_json(),
    }


def _difference(evidence: Evidence) -> dict[str, float | None]:
    """With the keys of an interval even where the runs are too short to know one."""
    known = evidence.difference
    return dict.fromkeys(("value", "low", "high")) if known is None else {**known.to_json()}


def _trial_numbers(trial: ReportedTrial, smooth: int) -> dict[str, Any]:
    best = peak(trial.run, smooth)
    return {
        "number": trial.record.number,
        "known": trial.record.known,
        "value": best.value,
        "best_epoch": best.epoch,
        "best_score": best.score,
        "train_score": best.train,
        "gap": best.gap,
        "lr": best.lr,
        "epochs": best.epochs,
    }
