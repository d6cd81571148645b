"""The section about how much each parameter matters, with intervals and the level of chance."""

from collections.abc import Iterator
from functools import partial

from search.render.document import Block, Figure, Paragraph, Table, code
from search.report import figures
from search.report.report_data import ReportData


def importance(data: ReportData) -> Iterator[Block]:
    """Each parameter's share of importance, and whether it is above what chance alone gives."""
    estimate = data.importance
    if estimate is None:
        yield Paragraph(f"{len(data.complete)} complete trials are too few to estimate importances.")
        return
    rows = [
        [
            code(share.name),
            str(share.trials),
            f"{share.share:.2f}",
            f"{share.low:.2f} to {share.high:.2f}",
            "above chance" if estimate.stands_out(share) else "within chance",
        ]
        for share in estimate.shares
    ]
    above = [code(share.name) for share in estimate.shares if estimate.stands_out(share)]
    answer = (
        f"Above chance: {', '.join(above)}." if above else "No parameter is above chance in these trials."
    )
    beyond = ", which is more than was found" if estimate.chance > 1 else ""
    method = (
        f"By PED-ANOVA over {estimate.trials} complete trials, of which the best {estimate.top} count as "
        f"good; shares add up to 1. Intervals: {estimate.resamples} resamples of the trials. Level of "
        f"chance, {estimate.chance:.2f}{beyond}: the largest share stays below it in 97.5 % of "
        f"{estimate.shufflings} shufflings of the values over the trials. Pruned trials are not included, "
        "and the sampler chose where to look."
    )
    yield Paragraph(answer)
    yield Figure(
        figures.FOLDER / "importance.png",
        "Importance of each parameter",
        "Dots: estimates; bars: 95 % intervals.",
        partial(figures.importance, importances=estimate),
    )
    yield Table(["parameter", "trials", "share", "95 % interval", ""], rows, numeric=4)
    yield Paragraph(method)
