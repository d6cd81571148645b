"""The section that sets scores against the sizes of the models, where these differ."""

from collections.abc import Iterator
from functools import partial

from search import formatting
from search.analysis.pareto import pareto_front
from search.render.document import Block, Figure, Paragraph, Table
from search.report import figures
from search.report.report_data import ReportData


def size(data: ReportData) -> Iterator[Block]:
    """Score against parameters with the best trial of each size; nothing if all models have one size."""
    sized = [record for record in data.complete if record.parameters is not None]
    if len({record.parameters for record in sized}) < 2:
        return
    front = pareto_front(sized, data.snapshot.direction)
    path, draw = figures.FOLDER / "size.png", partial(figures.size, sized=sized, front=front)
    rows = [
        [
            str(record.number),
            formatting.score(record.value),
            formatting.count(record.parameters),
            formatting.milliseconds(record.forward_ms),
        ]
        for record in front
    ]
    largest, smallest = front[-1], front[0]
    answer = (
        f"Of {len(sized)} complete trials, {len(front)} are on the front: no smaller model scored as high. "
        f"The smallest has {formatting.count(smallest.parameters)} parameters and the value "
        f"{formatting.score(smallest.value)}, the largest {formatting.count(largest.parameters)} and "
        f"{formatting.score(largest.value)}. "
        "Each trial is one run with one seed."
    )
    if len(front) == 1:
        answer = (
            f"Trial {largest.number} scored highest of {len(sized)} complete trials, and none of them is "
            f"smaller than its {formatting.count(largest.parameters)} parameters."
        )
    caption = "Filled and joined: trials that no trial of at most their size surpasses."
    yield Paragraph(answer)
    yield Figure(path, "Value of each trial by its number of parameters", caption, draw)
    yield Table(["trial", "value", "parameters", "ms for one example"], rows, numeric=4)
