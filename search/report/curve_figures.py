"""The figures of a report that show single trainings, epoch by epoch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from search import formatting
from search.analysis.stages import TrainingStage
from search.recorded_run import RecordedRun
from search.report.figures import BASELINE, BEST, MARK, PALE, TRAIN, figure_file
from search.scoring import trailing_means

BESIDE_TITLE: Any = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.97), "ncols": 3, "borderpad": 0.1}


def four_panels(path: Path | None, run: RecordedRun, smooth: int) -> Figure:
    """One training: score, loss, learning rate and gap by epoch, with the best epoch marked."""
    with figure_file(path, 8.2) as figure:
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
    return figure


def curves(
    path: Path,
    best: RecordedRun,
    baseline: RecordedRun | None,
    smooth: int,
    stages: Sequence[TrainingStage],
) -> None:
    """Means of `smooth` scores of both runs over their raw scores; the best's stages as shading."""
    with figure_file(path, 3.6) as figure:
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


def gap(path: Path, run: RecordedRun) -> None:
    """The gap of every epoch twice: by learning rate and by epoch."""
    with figure_file(path, 3.0) as figure:
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
    if gaps := _gaps(run):
        axes.axhline(0, color="#888888", linewidth=0.8)
        axes.plot(list(gaps), list(gaps.values()), color="#6b4c9a", linewidth=1.4)
    else:
        _absent(axes)


def _gaps(run: RecordedRun) -> dict[int, float]:
    """Training less validation score in points, by epoch, where both exist."""
    pairs = enumerate(zip(run.train_scores, run.scores, strict=False), 1)
    return {epoch: 100 * (train - score) for epoch, (train, score) in pairs if None not in (train, score)}


def _absent(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color="#777777")
    axes.set_yticks([])


def _floats(column: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in column]
