"""The section about imported runs, beside the best trial by each metric that it has."""

from collections.abc import Iterator

from search import formatting
from search.imports.listing import imported_table
from search.render.document import Block, Paragraph, literal
from search.report.report_data import ReportData
from search.scoring import best_mean, epoch_of_best

TEXT = (
    "These runs were trained elsewhere. Only rows with the same metric can be compared; `search compare` "
    "does that, with the noise of both."
)


def imported(data: ReportData) -> Iterator[Block]:
    """A row for each; nothing if nothing was imported."""
    if data.imported:
        yield Paragraph(TEXT)
        yield imported_table(data.imported, before=_best_rows(data))


def _best_rows(data: ReportData) -> list[list[str]]:
    """The best trial by the study's own metric, and by that of older runs if it recorded that too."""
    best, direction = data.best, data.snapshot.direction
    older = best.run.vocabulary.older_score_words
    rows = []
    for metric, column in {best.metric: best.run.scores, older: best.run.older_scores}.items():
        scores = {epoch: score for epoch, score in enumerate(column, 1) if score is not None}
        if not scores:
            continue
        epoch = epoch_of_best(scores, direction)
        value = best_mean(list(scores.values()), data.smooth, direction)
        numbers = formatting.score(value), formatting.score(scores[epoch]), str(epoch), str(len(column))
        rows.append([f"the best: {literal(best.name)}", literal(metric), *numbers])
    return rows
