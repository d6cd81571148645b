"""`search status`: the study as the live view shows it, its stages, what pruning did, imported runs."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from search.analysis.pruning_audit import PruningAudit, sentences
from search.imports.listing import imported_table
from search.records import ImportedRun, Snapshot
from search.render.document import Block, Paragraph, literal
from search.render.terminal import RichBlocks
from search.ui.overview import Overview


def status_page(
    snapshot: Snapshot,
    pruning: PruningAudit,
    imported: Sequence[ImportedRun] = (),
    stages: Sequence[Block] = (),
) -> RenderableType:
    """The study's progress, workers and best trial; its stages; what pruning did; imported runs."""
    parts: list[RenderableType] = [Overview(snapshot)]
    if stages:
        parts += [Text(), Text("stages", style="dim"), RichBlocks(stages)]
    if about_pruning := sentences(pruning):
        blocks = [Paragraph(literal(sentence)) for sentence in about_pruning]
        parts += [Text(), Text("pruning", style="dim"), RichBlocks(blocks)]
    if imported:
        parts += [Text(), RichBlocks([imported_table(imported)])]
    return Group(*parts)
