"""The figures of a report, drawn by matplotlib without a display; each is written to a PNG.

They are as wide as a page of text, with letters that can still be read on a phone.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from search import formatting
from search.analysis.classes import ClassChange
from search.analysis.importance import Importance
from search.analysis.stages import TrainingStage
from search.recorded_run import RecordedRun
from search.records import Record
from search.report.examples import ExamplePair
from search.scoring import Direction, trailing_means
from search.spec.parameter import Parameter

FOLDER = PurePosixPath("figures")
"""Their folder, relative to the report."""

WIDTH = 6.2  # inches
DPI = 160
LONGEST = 18  # letters of an example's name

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

BESIDE_TITLE: Any = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.97), "ncols": 3, "borderpad": 0.1}


@contextmanager
def _figure(path: Path, height: float) -> Iterator[Figure]:
    """A figure that is written to `path` at the end; `height` in inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})  # the same records give the same bytes


def four_panels(path: Path, run: RecordedRun, smooth: int) -> None:
    """One training: score, loss, learning rate and gap by epoch, with the best epoch marked."""
    with _figure(path, 8.2) as figure:
        score, loss, rate, gap = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 1.4, 2))
        _score(score, run, smooth)
        _lines(loss, run, {"train_loss": (TRAIN, "training"), "val_loss": (BEST, "validation")})
        _lines(rate, run, {run.vocabulary.rate_column: ("#555555", "")})
        rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        _gap(gap, run)
        for axes, title in (
            (score, "score"),
            (loss, "loss"),
            (rate, "learning rate"),
            (gap, "gap, points"),
        ):
            axes.set_title(title)
            axes.axvline(run.best_epoch, color=MARK, linewidth=0.9, linestyle=":")
        gap.set_xlabel("epoch")
        gap.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.suptitle(
            f"{run.name}: best epoch {run.best_epoch}, {formatting.score(run.finite[run.best_epoch])}",
            x=0.01,
            ha="left",
            fontsize=11,
        )


def curves(
    path: Path,
    best: RecordedRun,
    baseline: RecordedRun | None,
    smooth: int,
    stages: Sequence[TrainingStage],
) -> None:
    """Means of `smooth` scores of both runs over their raw scores; the best's stages as shading."""
    with _figure(path, 3.6) as figure:
        axes = figure.subplots()
        for index, stage in enumerate(stages):
            if index % 2:
                axes.axvspan(stage.first - 0.5, stage.last + 0.5, color="#f3f5f7", zorder=0)
        runs = [(best, BEST, "best")] + ([(baseline, BASELINE, "baseline")] if baseline else [])
        for run, colour, role in reversed(runs):
            epochs, scores = list(run.finite), list(run.finite.values())
            axes.plot(epochs, scores, color=colour, alpha=0.35, linewidth=0.9)
            means = trailing_means(scores, smooth)
            axes.plot(epochs, means, color=colour, linewidth=1.8, label=f"{role}: {run.name}")
            axes.plot(run.best_epoch, run.finite[run.best_epoch], "o", color=colour, markersize=5)
        axes.set(xlabel="epoch", ylabel="validation score")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower right" if best.direction == "maximize" else "upper right")


def search(path: Path, records: Sequence[Record], direction: Direction, target: float | None) -> None:
    """The value of every trial in the order of the search, and the best so far."""
    with _figure(path, 3.4) as figure:
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
        axes.step(*zip(*so_far, strict=True), where="post", color=BEST, linewidth=1, label="best so far")
        if target is not None:
            axes.axhline(target, color=MARK, linewidth=1, linestyle="--", label=f"target {target:g}")
        axes.set(xlabel="trial", ylabel="value")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def parameters(path: Path, space: Sequence[Parameter], complete: Sequence[Record], best: int) -> None:
    """The values of the complete trials by each parameter, over its whole range."""
    rows = (len(space) + 1) // 2
    with _figure(path, 1.9 * rows) as figure:
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


def importance(path: Path, found: Importance) -> None:
    """Shares of importance with their intervals, and the level of chance."""
    with _figure(path, 0.8 + 0.36 * len(found.shares)) as figure:
        axes = figure.subplots()
        for row, share in enumerate(reversed(found.shares)):
            colour = BEST if found.stands_out(share) else "#8d97a1"
            axes.plot([share.low, share.high], [row, row], color=colour, linewidth=2)
            axes.plot(share.share, row, "o", color=colour, markersize=6)
        if found.chance <= 1:
            axes.axvline(found.chance, color=MARK, linewidth=1, linestyle="--")
            axes.text(found.chance, len(found.shares) - 0.4, " chance", color=MARK, fontsize=9, va="bottom")
        axes.set_yticks(range(len(found.shares)), [share.name for share in reversed(found.shares)])
        axes.set(xlabel="share of importance, 95 % interval", ylim=(-0.6, len(found.shares)))
        axes.set_xlim(left=0)


def classes(path: Path, rows: Sequence[ClassChange], before: str, after: str) -> None:
    """The score of every class in both runs, the one that lost most at the bottom."""
    with _figure(path, 1.2 + 0.25 * len(rows)) as figure:
        axes = figure.subplots()
        for y, row in enumerate(rows):
            colour = {"higher": BEST, "lower": MARK, "": "#9aa3ab"}[row.verdict]
            axes.plot([row.before, row.after], [y, y], color=colour, linewidth=2, zorder=1)
            axes.plot(row.before, y, "o", color="white", markeredgecolor=BASELINE, markersize=6)
            axes.plot(row.after, y, "o", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set(xlabel=f"score by class: open {before}, filled {after}", ylim=(-0.7, len(rows) - 0.3))


def examples(path: Path, pairs: Sequence[ExamplePair]) -> None:
    """A row for every example: image, truth, and what the baseline and the best made of it."""
    with _figure(path, 1.75 * len(pairs) + 0.3) as figure:
        for row, pair in zip(figure.subplots(len(pairs), 4, squeeze=False), pairs, strict=True):
            name = pair.name if len(pair.name) <= LONGEST else f"{pair.name[: LONGEST - 1]}…"
            titles = (name, "truth", f"baseline {pair.before:.3f}", f"best {pair.after:.3f}")
            pictures = (pair.image, pair.truth, pair.old, pair.new)
            for axes, title, picture in zip(row, titles, pictures, strict=True):
                axes.imshow(picture)
                axes.set_title(title, fontsize=9)
                axes.set_axis_off()


def gap(path: Path, run: RecordedRun) -> None:
    """The gap of every epoch twice: by learning rate and by epoch."""
    with _figure(path, 3.0) as figure:
        by_rate, by_epoch = figure.subplots(1, 2, sharey=True)
        gaps, rates = _gaps(run), run.rates
        epochs = [epoch for epoch in gaps if rates[epoch - 1] is not None]
        by_rate.scatter(
            [rates[e - 1] for e in epochs], [gaps[e] for e in epochs], c=epochs, cmap="viridis", s=14
        )
        by_rate.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
        points = by_epoch.scatter(epochs, [gaps[e] for e in epochs], c=epochs, cmap="viridis", s=14)
        by_rate.set(xlabel="learning rate", ylabel="gap, points")
        by_epoch.set(xlabel="epoch")
        figure.colorbar(points, ax=by_epoch, label="epoch")


# -- what several of them draw ------------------------------------------------------------------------


def _score(axes: Axes, run: RecordedRun, smooth: int) -> None:
    epochs, scores = list(run.finite), list(run.finite.values())
    train = run.train_scores
    if train:
        axes.plot(range(1, len(train) + 1), _floats(train), color=TRAIN, linewidth=1.2, label="training")
    axes.plot(epochs, scores, color=PALE, linewidth=1, label="validation")
    if smooth > 1:
        means = trailing_means(scores, smooth)
        axes.plot(epochs, means, color=BEST, linewidth=1.8, label=f"its mean of {smooth}")
    axes.plot(run.best_epoch, run.finite[run.best_epoch], "o", color=MARK, markersize=5)
    axes.legend(**BESIDE_TITLE)


def _lines(axes: Axes, run: RecordedRun, columns: dict[str, tuple[str, str]]) -> None:
    """These columns by epoch; a note if none of them was recorded."""
    for name, (colour, label) in columns.items():
        column = run.columns.get(name)
        if column:
            axes.plot(range(1, len(column) + 1), _floats(column), color=colour, linewidth=1.4, label=label)
    if not axes.lines:
        _absent(axes)
    elif any(label for _, label in columns.values()):
        axes.legend(**BESIDE_TITLE)


def _gap(axes: Axes, run: RecordedRun) -> None:
    gaps = _gaps(run)
    if not gaps:
        return _absent(axes)
    axes.axhline(0, color="#888888", linewidth=0.8)
    axes.plot(list(gaps), list(gaps.values()), color="#6b4c9a", linewidth=1.4)
    return None


def _gaps(run: RecordedRun) -> dict[int, float]:
    """Training less validation score in points, by epoch, where both exist."""
    pairs = enumerate(zip(run.train_scores, run.scores, strict=False), 1)
    return {epoch: 100 * (train - score) for epoch, (train, score) in pairs if None not in (train, score)}


def _absent(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color="#777777")
    axes.set_yticks([])


def _floats(column: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in column]


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
