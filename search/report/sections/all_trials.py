"""The section that lists every trial."""

from collections.abc import Iterator

from search import formatting
from search.records import Record
from search.render.document import Block, Table, literal
from search.report.report_data import ReportData

MOST_TRIALS = 200

REASONS = {
    "pruned": "by the pruner",
    "objective": "by the objective",
    "early_stop": "stopped early",
    "diverged": "diverged",
    "oom": "out of memory",
    "bug": "error",
}


def all_trials(data: ReportData) -> Iterator[Block]:
    """A row for every trial."""
    rows = [
        [
            str(record.number),
            literal(record.known or ""),
            _state(record),
            formatting.score(record.value),
            formatting.whole(record.best_epoch),
            str(record.epochs),
        ]
        for record in data.records[:MOST_TRIALS]
    ]
    left_out = len(data.records) - len(rows)
    note = f"{left_out} more: `search trials --study {data.study}`." if left_out > 0 else ""
    head = ["trial", "known config", "state", "value", "best epoch", "epochs"]
    yield Table(head, rows, numeric=3, note=note)


def _state(record: Record) -> str:
    if record.reason is None or record.state == record.reason.code:
        return record.state
    return f"{record.state} ({REASONS[record.reason.code]})"
