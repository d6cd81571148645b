"""The section about what to try next: each suggestion with its evidence and a command."""

from collections.abc import Iterator
from pathlib import Path

from search.render.document import Block, Code, Paragraph
from search.report.report_data import ReportData
from search.report.sections.reproduction import start_command
from search.report.suggestions import suggestions
from search.results.next_commands import result_commands


def next_steps(data: ReportData) -> Iterator[Block]:
    """Suggestions for the study as it is now."""
    found = suggestions(data, start_command(data))
    for suggestion in found:
        yield from (Paragraph(f"{suggestion.action} {suggestion.evidence}"), Code([suggestion.command]))
    if not found:
        yield Paragraph("The search has ended, and its best trials are at no end of a range.")
    root = data.best.data
    commands = result_commands(data.spec.objective, data.study, Path(root) if root else None)
    if commands:
        yield from (Paragraph("Use the best trial: masks of images, and the submission."), Code(commands))
