"""The section about scores by class: which classes are higher or lower in the best, beyond noise."""

from collections.abc import Iterator, Sequence
from functools import partial

from search import formatting
from search.analysis.classes import LEVEL, ClassChange, class_changes
from search.analysis.training import peak
from search.render.document import Block, Cell, Figure, Marked, Paragraph, Table, literal
from search.report import figures
from search.report.report_data import ReportData


def classes(data: ReportData) -> Iterator[Block]:
    """Every class before and after."""
    if data.compared is None:
        yield Paragraph("There are no two runs to compare by class.")
        return
    before, after = ((trial.run, peak(trial.run, data.smooth)) for trial in (data.compared, data.best))
    changes = class_changes(before, after, data.best.classes)
    if not changes:
        yield Paragraph("Scores by class were not recorded for both runs.")
        return
    words = data.best.run.vocabulary.class_score_words
    lower, higher = ([row.name for row in changes if row.verdict == word] for word in ("lower", "higher"))
    method = (
        f"Each {words} is a mean over the epochs of its run's best mean. The noise is one standard error "
        "of the difference, by AR(1) noise around a smooth trend. "
        f"Beyond noise: Student's t at {formatting.percent(LEVEL)} for all classes together (Bonferroni). "
        "What another seed would change is not included."
    )
    head = ["class", "baseline", "best", "points", "± of noise", ""]
    yield Paragraph(f"Lower beyond noise: {_listed(lower)}. Higher beyond noise: {_listed(higher[::-1])}.")
    shows = f"{words[0].upper()}{words[1:]} by class in the baseline and the best"
    draw = partial(figures.classes, rows=changes, words=words)
    path = figures.FOLDER / "classes.png"
    yield Figure(path, shows, "Red: lower beyond noise; blue: higher.", draw)
    yield Table(head, list(map(_cells, changes)), numeric=5)
    yield Paragraph(method)


def _cells(change: ClassChange) -> list[Cell]:
    error = formatting.DASH if change.error is None else f"{100 * change.error:.2f}"
    return [
        literal(change.name),
        formatting.score(change.before),
        formatting.score(change.after),
        f"{100 * change.difference:+.2f}",
        error,
        Marked(change.verdict, "bad" if change.verdict == "lower" else "good"),
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(literal, names)) or "none"
