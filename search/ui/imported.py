"""What `status` and `trials` show beside the trials themselves: what pruning did, and imported runs."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from search import formatting
from search.analysis.pruning_audit import PruningAudit, sentences
from search.records import ImportedRun, Record, Snapshot
from search.render.terminal import bare_table, prose
from search.ui.tables import status_table, trials_table

FOREIGN = "Imported, under a protocol of their own: never in the search, its median or its best."


def status_page(
    snapshot: Snapshot, pruning: PruningAudit, imported: Sequence[ImportedRun] = ()
) -> RenderableType:
    """The study's progress, workers and best trial; what pruning saved and lost; imported runs."""
    parts = [status_table(snapshot)]
    if said := sentences(pruning):
        parts += [Text(), Text("pruning", style="dim")]
        parts += [prose(sentence) for sentence in said]
    return Group(*parts, *_below(imported))


def trials_page(
    records: Sequence[Record], best: int | None, imported: Sequence[ImportedRun]
) -> RenderableType:
    """A row per trial, and below them one per imported run."""
    return Group(trials_table(records, best), *_below(imported))


def imported_table(runs: Sequence[ImportedRun]) -> RenderableType:
    """A row per imported run; scores of different metrics cannot be compared."""
    table = bare_table()
    table.add_column("imported", overflow="fold")
    for title in ("score", "best", "epoch", "epochs"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("metric", overflow="fold")
    for run in runs:
        numbers = formatting.score(run.value), formatting.score(run.best_score)
        epochs = formatting.whole(run.best_epoch), formatting.whole(run.epochs)
        words = (Text(formatting.one_line(text)) for text in (run.name, run.metric))
        table.add_row(next(words), *numbers, *epochs, next(words))
    return Group(table, Text(FOREIGN, style="dim"))


def _below(imported: Sequence[ImportedRun]) -> list[RenderableType]:
    return [Text(), imported_table(imported)] if imported else []
