"""The figure of scores against sizes of models."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from search.records import Record
from search.report.figures import BEST, FOLDER, PALE, figure_file

WIDE = 4.0  # times the smallest model, from which on the axis is logarithmic


def draw(folder: Path, sized: Sequence[Record], front: Sequence[Record]) -> PurePosixPath:
    """Draws values by parameters, the front joined; returns the file's path within `folder`."""
    path = FOLDER / "size.png"
    sizes = [record.parameters or 0 for record in sized]
    with figure_file(folder / path, 3.4) as figure:
        axes = figure.subplots()
        on_front = {record.number for record in front}
        others = [record for record in sized if record.number not in on_front]
        if others:
            points = [(record.parameters, record.value) for record in others]
            axes.plot(*zip(*points, strict=True), "o", color=PALE, markersize=5, label="other trials")
        best = [(record.parameters, record.value) for record in front]
        axes.step(*zip(*best, strict=True), where="post", color=BEST, linewidth=1)
        axes.plot(*zip(*best, strict=True), "o", color=BEST, markersize=6, label="Pareto front")
        for record in front:
            axes.annotate(
                str(record.number),
                (float(record.parameters or 0), float(record.value or 0.0)),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        if max(sizes) >= WIDE * min(sizes):
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: short(value)))
        axes.set(xlabel="parameters", ylabel="value")
        axes.margins(0.08, 0.12)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return path


def short(count: float) -> str:
    """A number of parameters on an axis: `640`, `48k`, `1.75M`."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.4g}{unit}"
    return f"{count:g}"
