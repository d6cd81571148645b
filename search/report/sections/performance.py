"""The section that sets the best and the baseline side by side, figure by figure."""

from collections.abc import Iterator

from search import formatting
from search.analysis.training import Peak, peak
from search.render.document import Block, Paragraph, Table, literal
from search.report.comparison import gain_headline
from search.report.report_data import NOT_RECORDED, ReportData, ReportedTrial

LABELS = (
    "value (best mean of {smooth})",
    "its epochs",
    "best single epoch",
    "its score",
    "training score there",
    "gap there, points",
    "learning rate there",
    "epochs trained",
    "best by the older metric",
    "distance of the value to the target",
)


TOO_FEW = "The trials are too few to tell a gain from the luck of the best; fresh seeds can."


def performance(data: ReportData) -> Iterator[Block]:
    """The figures of both, and whether their difference is more than noise."""
    columns = [_figures(data, trial, peak(trial.run, data.smooth)) for _, trial in data.roles]
    rows = [
        [label.format(smooth=data.smooth), *cells] for label, *cells in zip(LABELS, *columns, strict=True)
    ]
    missing = [label for label, *cells in rows if set(cells) == {NOT_RECORDED}]
    head = ["", *(f"{role.lower()}: {literal(trial.name)}" for role, trial in data.roles)]
    yield Table(head, [row for row in rows if row[0] not in missing], numeric=len(columns))
    yield from _evidence(data)
    problems = dict.fromkeys(literal(trial.missing) for _, trial in data.roles if trial.missing)
    if missing:
        problems[f"Not recorded: {', '.join(missing)}"] = None
    yield from (Paragraph(f"{problem}.") for problem in problems)


def distance_to_target(data: ReportData, value: float | None) -> str | None:
    """The distance from the target in words; None if there is no target."""
    ahead = formatting.gain(value, data.snapshot.target, data.snapshot.direction)
    if ahead is None:
        return None
    return f"reached, by {formatting.score(ahead)}" if ahead >= 0 else f"{formatting.score(-ahead)} short"


def _figures(data: ReportData, trial: ReportedTrial, best: Peak) -> list[str]:
    older = NOT_RECORDED
    if best.older is not None:
        older = f"{formatting.score(best.older)} at epoch {best.older_epoch}"
    reason = trial.record.reason
    return [
        formatting.score(best.value),
        formatting.epochs(best.first, best.last),
        str(best.epoch),
        formatting.score(best.score),
        NOT_RECORDED if best.train is None else formatting.score(best.train),
        NOT_RECORDED if best.gap is None else f"{best.gap:.2f}",
        NOT_RECORDED if best.lr is None else formatting.rate(best.lr),
        f"{best.epochs} ({reason.code.replace('_', ' ')})" if reason else str(best.epochs),
        older,
        distance_to_target(data, best.value) or "no target",
    ]


def _evidence(data: ReportData) -> list[Block]:
    if data.comparison is None:
        return []
    notes = list(map(Paragraph, map(literal, data.comparison.notes)))
    if data.gain is None:
        return [Paragraph(TOO_FEW), *notes]
    method = (
        "The levels behind the values of all complete trials are estimated by deconvolution, and the "
        "best's is compared with the baseline's one value. A value is taken to vary by "
        f"{formatting.score(data.gain.noise)} over seeds, as the better half of the trials does: rather "
        "too much than too little, since their configs differ, too. `search confirm` tells by fresh seeds."
    )
    return [gain_headline(data.gain, "the baseline"), Paragraph(method), *notes]
