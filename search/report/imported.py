"""The section about runs that were not trained here, beside the best trial by each metric that it has."""

from search import formatting
from search.recorded_run import POOLED, POOLED_F
from search.records import ImportedRun
from search.render.document import Paragraph, Section, Table, literal
from search.report.material import Material
from search.scoring import best_mean, epoch_of_best


def imported(material: Material) -> list[Section]:
    """No section where nothing was imported."""
    if not material.imported:
        return []
    head = ["run", "metric", "value", "best score", "best epoch", "epochs"]
    rows = [*_of_best(material), *(_row(run) for run in material.imported)]
    said = (
        "These runs were trained elsewhere, under a protocol of their own. They were never part of the "
        "search, its median or its best, and only rows of one metric can be held against each other: "
        "`search compare` does that, with the noise of both."
    )
    return [Section("Imported runs", [Paragraph(said), Table(head, rows, numeric=4)])]


def _of_best(material: Material) -> list[list[str]]:
    """The best trial by the study's own metric, and by the older runs' where it recorded that too."""
    best = material.best
    by_metric = {best.metric: best.run.scores, POOLED_F: best.run.columns.get(POOLED, ())}
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


def _row(run: ImportedRun) -> list[str]:
    numbers = formatting.score(run.value), formatting.score(run.best_score)
    epochs = formatting.whole(run.best_epoch), formatting.whole(run.epochs)
    return [literal(run.name), literal(run.metric), *numbers, *epochs]
