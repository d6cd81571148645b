"""The sections of a report, a file each, and their titles.

A section is a function of the data. It yields its blocks; none if it has nothing to say in this study.
"""

from collections.abc import Callable, Iterable, Mapping

from search.render.document import Block
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
from search.report.sections.size import size
from search.report.sections.stages import stages
from search.report.sections.test_split import test_split

SECTIONS: Mapping[str, Callable[[ReportData], Iterable[Block]]] = {
    "Performance summary": performance,
    "Stages of the search": lambda data: data.stages,
    "On fresh seeds": fresh_seeds,
    "On the test split": test_split,
    "Key configuration changes": config_changes,
    "Training dynamics by stage": stages,
    "Degradation after the best": degradation,
    "Gap by learning rate": gap,
    "The search": search_history,
    "What pruning saved and lost": pruning,
    "What mattered": importance,
    "Score and size": size,
    "Classes": classes,
    "{examples}": examples,
    "Known configs and beliefs": beliefs,
    "What to try next": next_steps,
    "Seeds, versions, data, commands": reproduction,
    "All trials": all_trials,
    "Imported runs": imported,
}
"""By title, in the order of the report. `{examples}` is what the objective calls its examples."""
