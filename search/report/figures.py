"""The figures of a report, drawn by matplotlib without a display; each is written to a PNG.

They are as wide as a page of text, with letters that can still be read on a phone.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from PIL import Image

from search import formatting
from search.analysis.classes import ClassChange
from search.analysis.importance import Importance
from search.records import Record
from search.report.examples import ExamplePair
from search.scoring import Direction
from search.spec.parameter import Parameter

FOLDER = PurePosixPath("figures")
"""Their folder, relative to the report."""

WIDTH = 6.2  # inches
DPI = 160
LONGEST = 18  # letters of an example's name
WIDE = 4.0  # times the smallest model, from which on the axis of sizes is logarithmic

BEST, BASELINE, MARK = "#1f5f99", "#8a6d3b", "#c0392b"
PALE = "#9bbcd8"
TRAIN = "#5b8c3e"
STATES = {"complete": BEST, "pruned": "#b9c2cb", "failed": MARK, "running": TRAIN}
STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ec",
    "text.parse_math": False,  # a $ in a name is a $
    "legend.frameon": False,
    "legend.fontsize": 9,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
}


@contextmanager
def figure_file(path: Path | None, height: float, *, photographs: bool = False) -> Iterator[Figure]:
    """A figure that is written to `path`, if given, at the end; `height` in inches.

    Without photographs, 256 colours are enough, and take less than half the bytes.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # `savefig` would lay it out twice
        drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        (drawn if photographs else drawn.quantize(method=Image.Quantize.MEDIANCUT)).save(path)


def search(
    path: Path | None, records: Sequence[Record], direction: Direction, target: float | None
) -> Figure:
    """The value of every trial in the order of the search, and the best so far."""
    with figure_file(path, 3.4) as figure:
        axes = figure.subplots()
        for state, colour in STATES.items():
            points = [(r.number, r.value) for r in records if r.state == state and r.value is not None]
            if points:
                axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=4.5, label=state)
        known = [(r.number, r.value) for r in records if r.known and r.value is not None]
        if known:
            ring: Any = {"color": "none", "markeredgecolor": BASELINE, "markersize": 9}
            axes.plot(*zip(*known, strict=True), "s", label="known", **ring)
        better = max if direction == "maximize" else min
        so_far: list[tuple[int, float]] = []
        for record in records:
            if record.is_candidate and record.value is not None:
                best = better(so_far[-1][1], record.value) if so_far else record.value
                so_far.append((record.number, best))
        if so_far:
            axes.step(
                *zip(*so_far, strict=True), where="post", color=BEST, linewidth=1, label="best so far"
            )
        if target is not None:
            axes.axhline(target, color=MARK, linewidth=1, linestyle="--", label=f"target {target:g}")
        axes.set(xlabel="trial", ylabel="value")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return figure


def parameters(path: Path, space: Sequence[Parameter], complete: Sequence[Record], best: int) -> None:
    """The values of the complete trials by each parameter, over its whole range."""
    rows = (len(space) + 1) // 2
    with figure_file(path, 1.9 * rows) as figure:
        every = figure.subplots(rows, 2, sharey=True, squeeze=False).flatten()
        names = formatting.short_names(parameter.name for parameter in space)
        for axes, parameter in zip(every, space, strict=False):
            here = [record for record in complete if parameter.name in record.params]
            choices = [formatting.parameter(choice) for choice in parameter.choices]
            for record in here:
                value = record.params[parameter.name]
                x = parameter.choices.index(value) if choices else value
                mark = (
                    {"color": MARK, "markersize": 7}
                    if record.number == best
                    else {"color": BEST, "alpha": 0.6}
                )
                axes.plot(x, record.value, "o", **{"markersize": 4, **mark})
            if choices:
                leaning = {"rotation": 30, "ha": "right"} if sum(map(len, choices)) > 16 else {}
                axes.set_xticks(range(len(choices)), choices, fontsize=8, **leaning)
                axes.set_xlim(-0.5, len(choices) - 0.5)
            else:
                _scale(axes, parameter)
            axes.set_title(names[parameter.name])
        for axes in every[len(space) :]:
            axes.set_visible(False)
        figure.supylabel("value", fontsize=10)


def importance(path: Path | None, importances: Importance) -> Figure:
    """Shares of importance with their intervals, and the level of chance."""
    with figure_file(path, 0.8 + 0.36 * len(importances.shares)) as figure:
        axes = figure.subplots()
        for row, share in enumerate(reversed(importances.shares)):
            colour = BEST if importances.stands_out(share) else "#8d97a1"
            axes.plot([share.low, share.high], [row, row], color=colour, linewidth=2)
            axes.plot(share.share, row, "o", color=colour, markersize=6)
        if importances.chance <= 1:
            axes.axvline(importances.chance, color=MARK, linewidth=1, linestyle="--")
            axes.text(
                importances.chance,
                len(importances.shares) - 0.4,
                " chance",
                color=MARK,
                fontsize=9,
                va="bottom",
            )
        axes.set_yticks(
            range(len(importances.shares)), [share.name for share in reversed(importances.shares)]
        )
        axes.set(xlabel="share of importance, 95 % interval", ylim=(-0.6, len(importances.shares)))
        axes.set_xlim(left=0)
    return figure


def classes(path: Path, rows: Sequence[ClassChange], words: str) -> None:
    """Each class in both runs, the one that lost most at the bottom; `words` say what its score is."""
    with figure_file(path, 1.2 + 0.25 * len(rows)) as figure:
        axes = figure.subplots()
        for y, row in enumerate(rows):
            colour = {"higher": BEST, "lower": MARK, "": "#9aa3ab"}[row.verdict]
            axes.plot([row.before, row.after], [y, y], color=colour, linewidth=2, zorder=1)
            axes.plot(row.before, y, "o", color="white", markeredgecolor=BASELINE, markersize=6)
            axes.plot(row.after, y, "o", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set(xlabel=f"{words} by class: open baseline, filled best", ylim=(-0.7, len(rows) - 0.3))


def examples(path: Path, pairs: Sequence[ExamplePair]) -> None:
    """A row for every example: image, truth, and what the baseline and the best made of it."""
    with figure_file(path, 1.75 * len(pairs) + 0.3, photographs=True) as figure:
        for row, pair in zip(figure.subplots(len(pairs), 4, squeeze=False), pairs, strict=True):
            name = pair.name if len(pair.name) <= LONGEST else f"{pair.name[: LONGEST - 1]}…"
            titles = (name, "truth", f"baseline {pair.before:.3f}", f"best {pair.after:.3f}")
            pictures = (pair.image, pair.truth, pair.old, pair.new)
            for axes, title, picture in zip(row, titles, pictures, strict=True):
                axes.imshow(picture, interpolation="nearest")  # half the bytes of a smoothed one
                axes.set_title(title, fontsize=9)
                axes.set_axis_off()


def size(path: Path, sized: Sequence[Record], front: Sequence[Record]) -> None:
    """The values of the trials by their parameters, the front joined."""
    sizes = [record.parameters or 0 for record in sized]
    with figure_file(path, 3.4) as figure:
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
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: _short(value)))
        axes.set(xlabel="parameters", ylabel="value")
        axes.margins(0.08, 0.12)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _scale(axes: Axes, parameter: Parameter) -> None:
    """A parameter's range on its own scale with a margin, so that no point lies on the axis."""
    low, high = parameter.low, parameter.high
    if not parameter.log:
        pad = 0.04 * (high - low)
        axes.set_xlim(low - pad, high + pad)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=parameter.integer))
        return
    pad = (high / low) ** 0.04
    axes.set_xscale("log")
    axes.set_xlim(low / pad, high * pad)
    ticks = [low, math.sqrt(low * high), high]
    axes.set_xticks(ticks, [formatting.rate(tick) for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())


def _short(count: float) -> str:
    """A number of parameters on an axis: `640`, `48k`, `1.75M`."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.4g}{unit}"
    return f"{count:g}"
