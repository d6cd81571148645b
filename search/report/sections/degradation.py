"""The section about what the two lost after their best."""

from collections.abc import Iterator

from search import formatting
from search.analysis.training import Decline, decline
from search.render.document import Block, Paragraph, Table
from search.report.report_data import ReportData


def degradation(data: ReportData) -> Iterator[Block]:
    """The drop from the best mean to the last, and how much of it luck alone explains."""
    rows = [[role, *_cells(decline(trial.run, data.smooth))] for role, trial in data.roles]
    head = ["", "best mean", "last mean", "epochs after", "drop, points", "by luck alone"]
    definition = (
        f"drop = 100 × (best mean of {data.smooth} consecutive scores − mean of the last {data.smooth}); "
        "positive means it got worse. The best is picked, so even a run that loses nothing shows a drop; "
        "the last column is the drop expected from that alone, given the run's noise."
    )
    yield Table(head, rows, numeric=5)
    yield Paragraph(definition)


def _cells(drop: Decline) -> list[str]:
    return [
        formatting.score(drop.best),
        formatting.score(drop.last),
        str(drop.after),
        f"{drop.drop:z.2f}",
        "too short to know" if drop.luck is None else f"{drop.luck:z.2f}",
    ]
