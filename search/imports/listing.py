"""Imported runs as a table: for `search status`, `search trials`, `search import` and the report."""

from collections.abc import Sequence

from search import formatting
from search.records import ImportedRun
from search.render.document import Cell, Table, literal

NOTE = "Trained under a protocol of their own: never part of the search, its median or its best."


def imported_table(runs: Sequence[ImportedRun], before: Sequence[Sequence[Cell]] = ()) -> Table:
    """A row per imported run, below the rows `before`; only rows with the same metric can be compared."""
    rows = [
        [
            literal(run.name),
            literal(run.metric),
            formatting.score(run.value),
            formatting.score(run.best_score),
            formatting.whole(run.best_epoch),
            formatting.whole(run.epochs),
        ]
        for run in runs
    ]
    head = ["imported run", "metric", "value", "best score", "best epoch", "epochs"]
    return Table(head, [*before, *rows], numeric=4, note=NOTE)
