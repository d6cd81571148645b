"""The section about the validation examples that changed most, side by side."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from search import formatting
from search.render.document import Block, Figure, Paragraph, Table, code, literal
from search.report import figures
from search.report.examples import example_changes
from search.report.report_data import ReportData


def examples(data: ReportData) -> Iterator[Block]:
    """The examples that lost most and gained most between the baseline and the best."""
    vocabulary = data.best.run.vocabulary
    one, several = vocabulary.example_words
    words = vocabulary.class_score_words
    if data.compared is None:
        yield Paragraph(f"There are no two runs to compare by {one}.")
        return
    changes = example_changes(data.compared.folder, data.best.folder, vocabulary)
    if changes is None:
        where = f" ({code(vocabulary.examples_file)})" if vocabulary.examples_file else ""
        yield Paragraph(f"The two have not kept the same validation {several}{where} on this machine.")
        return
    yield Paragraph(
        f"Of the {changes.count} validation {several} that were kept, {changes.better} have a higher "
        f"{words} in the best than in the baseline, and {changes.worse} a lower one. The largest changes, "
        "losses first:"
    )
    if changes.pairs:
        path = figures.FOLDER / f"{Path(vocabulary.examples_file or several).stem}.png"
        shows = f"The {several} that changed most: image, truth, baseline and best"
        caption = f"With the {words} of the {one}. Each run is shown at its best epoch."
        yield Figure(path, shows, caption, partial(figures.examples, pairs=changes.pairs))
        rows = [
            [literal(pair.name), formatting.score(pair.before), formatting.score(pair.after)]
            for pair in changes.pairs
        ]
        yield Table([one, "baseline", "best"], rows, numeric=2)
