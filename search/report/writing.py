"""A report from its sections to its files."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from search.analysis.training import peak
from search.records import finite
from search.render import html, markdown
from search.render.document import Document
from search.report import dynamics, figures, findings, fresh_seeds, summary
from search.report import next_steps as ending
from search.report.imported import imported
from search.report.material import Material, Trial
from search.report.next_steps import DOCUMENT
from search.report.test_split import held_out

MARKDOWN, HTML = "report.md", "report.html"

PACKAGES = ("mseg-search", "optuna", "matplotlib")


@dataclass(frozen=True, slots=True)
class Written:
    """A report on the disk, and its main numbers.

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


def write_report(material: Material, folder: Path) -> Written:
    """Writes the report on `material` into `folder`, over an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {name: value for name, value in material.spec.document.items() if name != "profile"}
    (folder / DOCUMENT).write_text(yaml.safe_dump(written, sort_keys=False, allow_unicode=True))
    document = compose(material, folder)
    (folder / MARKDOWN).write_text(markdown.render(document), encoding="utf-8")
    (folder / HTML).write_text(html.render(document, folder), encoding="utf-8")
    return Written(folder, document, _numbers(material))


def compose(material: Material, folder: Path) -> Document:
    """The report before it is written; its figures are drawn below `folder`."""
    comparison = summary.compared(material)
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return Document(
        title=f"Report on the study {material.study}",
        lead=summary.in_short(material, comparison),
        sections=[
            summary.performance(material, comparison),
            fresh_seeds.fresh_seeds(material),
            *held_out(material),
            summary.changes(material, comparison),
            dynamics.dynamics(material, comparison, folder),
            dynamics.degradation(material),
            dynamics.gaps(material, folder),
            findings.searched(material, folder),
            findings.pruning(material),
            findings.importances(material, folder),
            findings.per_class(material, folder),
            findings.examples(material, folder),
            findings.beliefs(material),
            ending.next_steps(material, folder),
            ending.reproduction(material, folder, versions),
            findings.trials(material),
            *imported(material),
        ],
    )


def draw_trial(trial: Trial, smooth: int, folder: Path) -> Path:
    """Draws the four panels of one training into `folder`; returns the file."""
    path = folder / figures.FOLDER / f"trial-{trial.record.number:04d}.png"
    figures.four_panels(path, trial.run, smooth)
    return path


def _numbers(material: Material) -> dict[str, Any]:
    comparison = summary.compared(material)
    found = comparison.evidence if comparison else None
    return {
        "study": material.study,
        "best": _side(material.best, material.smooth),
        "baseline": None if material.baseline is None else _side(material.baseline, material.smooth),
        "difference": None
        if found is None
        else {"value": found.difference, "low": found.low, "high": found.high},
        "verdict": None if found is None else found.verdict,
        "target": material.snapshot.target,
        "test": None if material.held_out is None else material.held_out.to_json(),
    }


def _side(trial: Trial, smooth: int) -> dict[str, Any]:
    at = peak(trial.run, smooth)
    return {
        "number": trial.record.number,
        "known": trial.record.known,
        "value": at.value,
        "best_epoch": at.epoch,
        "best_score": at.score,
        "train_score": at.train,
        "gap": at.gap,
        "lr": at.lr,
        "epochs": at.epochs,
    }
