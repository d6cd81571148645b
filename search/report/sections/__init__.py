"""The sections of a report, a file each.

A section is a function of the data and the report's folder, below which it draws its figures; None if it
has nothing to say in this study.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from search.render.document import ReportSection
from search.report.report_data import ReportData
from search.report.sections.all_trials import all_trials
from search.report.sections.beliefs import beliefs
from search.report.sections.classes import classes
from search.report.sections.config_changes import config_changes
from search.report.sections.degradation import degradation
from search.report.sections.examples import examples
from search.report.sections.fresh_seeds import fresh_seeds
from search.report.sections.gap import gap
from search.report.sections.importance import importance
from search.report.sections.imported import imported
from search.report.sections.next_steps import next_steps
from search.report.sections.performance import performance
from search.report.sections.pruning import pruning
from search.report.sections.reproduction import reproduction
from search.report.sections.search_history import search_history
from search.report.sections.search_stages import search_stages
from search.report.sections.size import size
from search.report.sections.stages import stages
from search.report.sections.test_split import test_split

SECTIONS: Sequence[Callable[[ReportData, Path], ReportSection | None]] = (
    performance,
    search_stages,
    fresh_seeds,
    test_split,
    config_changes,
    stages,
    degradation,
    gap,
    search_history,
    pruning,
    importance,
    size,
    classes,
    examples,
    beliefs,
    next_steps,
    reproduction,
    all_trials,
    imported,
)
"""In the order of the report."""
