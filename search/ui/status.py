"""`search status`: the study as the live view shows it, what pruning saved and lost, imported runs."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from search.analysis.pruning_audit import PruningAudit, sentences
from search.imports.listing import imported_table
from search.records import ImportedRun, Snapshot
from search.render.document import Paragraph, literal
from search.render.terminal import RichBlocks
from search.ui.overview import Overview


def status_page(
    snapshot: Snapshot, pruning: PruningAudit, imported: Sequence[ImportedRun] = ()
) -> RenderableType:
    """The study's progress, workers and best trial; what pruning saved and lost; imported runs."""
    parts: list[RenderableType] = [Overview(snapshot)]
    if about_pruning := sentences(pruning):
        blocks = [Paragraph(literal(sentence)) for sentence in about_pruning]
        parts += [Text(), Text("pruning", style="dim"), RichBlocks(blocks)]
    if imported:
        parts += [Text(), RichBlocks([imported_table(imported)])]
    return Group(*parts)
