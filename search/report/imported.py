"""The section about imported runs, beside the best trial by each metric that it has."""

from search import formatting
from search.imports.listing import imported_table
from search.render.document import Paragraph, Section, literal
from search.report.material import Material
from search.scoring import best_mean, epoch_of_best


def imported(material: Material) -> list[Section]:
    """No section where nothing was imported."""
    if not material.imported:
        return []
    said = (
        "These runs were trained elsewhere. Only rows with the same metric can be compared; "
        "`search compare` does that, with the noise of both."
    )
    table = imported_table(material.imported, before=_of_best(material))
    return [Section("Imported runs", [Paragraph(said), table])]


def _of_best(material: Material) -> list[list[str]]:
    """The best trial by the study's own metric, and by the older runs' where it recorded that too."""
    best = material.best
    by_metric = {best.metric: best.run.scores, best.run.vocabulary.older_score_words: best.run.older_scores}
    rows = []
    for metric, column in by_metric.items():
        scores = {epoch: score for epoch, score in enumerate(column, 1) if score is not None}
        if not scores:
            continue
        epoch = epoch_of_best(scores, material.snapshot.direction)
        value = best_mean(list(scores.values()), material.smooth, material.snapshot.direction)
        numbers = formatting.score(value), formatting.score(scores[epoch]), str(epoch), str(len(column))
        rows.append([f"the best: {literal(best.name)}", literal(metric), *numbers])
    return rows
