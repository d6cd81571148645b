"""The section about what differs between the two configs, and what does not."""

from collections.abc import Iterator

from search import formatting
from search.render.document import Block, Paragraph, Table, code, literal
from search.report.comparison import changed_settings, equal_settings
from search.report.report_data import ReportData

CODE = "code"
"""The name under which `config.yaml` has the version of the code that trained."""

SHOWN_EQUAL = 12
"""Equal settings that are listed; those that matter most come first."""


def config_changes(data: ReportData) -> Iterator[Block]:
    """Settings that differ, and settings that are the same in both."""
    if data.comparison is None:
        params = data.best.record.params
        rows = [[code(name), literal(formatting.parameter(value))] for name, value in params.items()]
        yield Paragraph("There are no two configs to compare. What was searched, in the best trial:")
        yield Table(["setting", "best"], rows, numeric=1)
        return
    count = len(data.comparison.changed)
    meaning = f"{count} settings differ at once: two runs cannot tell which of them made a difference."
    if count == 0:
        meaning = "The two are runs of one config."
    elif count == 1:
        meaning = "The difference in score comes from this setting, from noise, or from both."
    yield changed_settings(data.comparison, ("baseline", "best"))
    yield Paragraph(meaning)
    yield equal_settings(data.comparison, SHOWN_EQUAL)
    yield from map(Paragraph, _besides_settings(data))


def _besides_settings(data: ReportData) -> Iterator[str]:
    """What makes the two differ, or may, and is no setting."""
    before, after = (trial.provenance for _, trial in data.roles)
    unlike = [name for name in before if name in after and before[name] != after[name]]
    if unlike:
        yield f"How they were trained differs, too: {', '.join(map(code, unlike))}; the values are below."
    if not (before.get(CODE) and after.get(CODE)):
        yield "Which version of the code trained them was not recorded for both: it may differ, too."
