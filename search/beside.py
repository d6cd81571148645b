"""What `status` shows beside the trials themselves: what pruning did."""

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.text import Text

from search.pruning_audit import PruningAudit, sentences
from search.records import Snapshot
from search.tables import PROSE_WIDTH, status_table


def status_page(snapshot: Snapshot, pruning: PruningAudit) -> RenderableType:
    """The study's progress, workers and best trial; what pruning saved, and what it lost."""
    parts = [status_table(snapshot)]
    if said := sentences(pruning):
        parts += [Text(), Text("pruning", style="dim")]
        parts += [Constrain(Text(sentence), PROSE_WIDTH) for sentence in said]
    return Group(*parts)
