"""The section about the gap between training and validation score by learning rate."""

from collections.abc import Iterator, Sequence
from functools import partial

from search import formatting
from search.analysis.training import Band, gap_by_rate
from search.render.document import Block, Figure, Paragraph, Table
from search.report import curve_figures, figures
from search.report.report_data import ReportData

CONFOUNDED = 0.5
"""Rank correlation between learning rate and epoch from which the two are called confounded."""


def gap(data: ReportData) -> Iterator[Block]:
    """The gap in bands of the learning rate, and whether rate and epoch can be told apart."""
    by_role = [(role, trial, *gap_by_rate(trial.run)) for role, trial in reversed(data.roles)]
    if not any(bands for _, _, bands, _ in by_role):
        yield Paragraph("Training scores and learning rates were not recorded.")
        return
    drawn = False
    for role, trial, bands, correlation in by_role:
        if not bands:
            yield Paragraph(f"{role}: the columns for it were not recorded.")
            continue
        if not drawn:
            path, draw = figures.FOLDER / "gap.png", partial(curve_figures.gap, run=trial.run)
            caption = f"{role}: a dot per epoch, coloured by epoch."
            yield Figure(path, "Gap by learning rate and by epoch", caption, draw)
            drawn = True
        yield from (_table(role, bands), Paragraph(_confounding(role, correlation)))
    yield Paragraph("gap = 100 × (training score − validation score) of the same epoch.")


def _table(role: str, bands: Sequence[Band]) -> Table:
    rows = [
        [
            f"{formatting.rate(band.low)} to {formatting.rate(band.high)}",
            str(band.epochs),
            f"{band.epoch:.0f}",
            f"{band.gap:.2f}",
        ]
        for band in bands
    ]
    return Table([f"{role.lower()}: learning rate", "epochs", "mean epoch", "mean gap"], rows, numeric=3)


def _confounding(role: str, correlation: float | None) -> str:
    if correlation is None:
        return (
            f"{role}: the learning rate never changed, so nothing can be said about its effect on the gap."
        )
    figure = f"{role}: rank correlation between learning rate and epoch {correlation:+.2f}."
    if abs(correlation) >= CONFOUNDED:
        return f"{figure} The two are confounded: this run cannot tell which of them the gap follows."
    return f"{figure} The two are partly confounded: the gap may follow either."
