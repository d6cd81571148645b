"""The section about the search as a whole: every trial, and where good values lie."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

from search.render.document import Block, Bullets, Figure, Paragraph
from search.report import figures
from search.report.report_data import ReportData

MOST_PARAMETERS = 12
"""Panels of one picture; of a larger space the most important, or first, parameters are shown."""

REASONS = {
    "pruned": "ended by the pruner: behind the median, or the best out of reach",
    "objective": "ended by the objective, which raised TrialPruned",
    "early_stop": "stopped early by themselves: no improvement",
    "diverged": "diverged: the score was no longer a finite number",
    "oom": "ran out of memory",
    "bug": "failed with an error",
}


def search_history(data: ReportData) -> Iterator[Block]:
    """Every trial in order, why trials ended early, and values over the range of each parameter."""
    snapshot = data.snapshot
    yield Figure(
        figures.FOLDER / "search.png",
        "Value of every trial",
        "Every trial in the order of the search.",
        partial(figures.search, records=data.records, direction=snapshot.direction, target=snapshot.target),
    )
    yield Paragraph(
        f"{snapshot.epochs_run} epochs were trained; pruning saved at most {snapshot.epochs_saved}."
    )
    reasons = Counter(record.reason.code for record in data.records if record.reason)
    if reasons:
        yield Bullets([f"{count} {REASONS[reason]}." for reason, count in reasons.most_common()])
    parameters = list(data.spec.space.parameters)
    if data.importance:
        order = [share.name for share in data.importance.shares]
        parameters.sort(key=lambda parameter: order.index(parameter.name))
    path, space = figures.FOLDER / "parameters.png", parameters[:MOST_PARAMETERS]
    draw = partial(figures.parameters, space=space, complete=data.complete, best=data.best.record.number)
    caption = (
        "Complete trials over the whole range of each parameter; the best is red. The sampler concentrates "
        "on regions where it found good values, so an empty region was tried less, not found to be bad."
    )
    yield Figure(path, "Value by parameter", caption, draw)
