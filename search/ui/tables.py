"""What the commands print once, to stdout: the study, its trials, one trial, the best, the end.

Nothing here judges a difference: two trials are two runs with one seed, and wherever a gain is printed
that is printed with it.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from search import formatting
from search.records import Direction, Record, Snapshot
from search.render.terminal import GAP, bare_table, prose
from search.ui.overview import Overview, cause, distance_to_target

PIPED_WIDTH = 160
"""Columns of a table in a pipe or a file, where there is no terminal to fit."""

CURVE_WIDTH = 16
PLOT_HEIGHT = 8
PLOT_WIDTH = 60
STYLES = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "cyan"}

ONE_SEED = (
    "Each is one run with one seed, and the best of many runs is partly luck: "
    "no evidence yet that its config is the better one."
)


def show(renderable: RenderableType, stream: TextIO | None = None) -> None:
    """Print to `stream` (stdout): as wide as the terminal, or `PIPED_WIDTH` where there is none."""
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    # A command or a path that is cut off could not be copied.
    console.print(renderable, crop=False)


def status_table(snapshot: Snapshot) -> RenderableType:
    """The study's progress, all its workers and its best trial."""
    return Overview(snapshot)


def trials_table(records: Sequence[Record], best: int | None = None) -> RenderableType:
    """A row per trial; `best` is the number of the one to mark.

    As many parameters have a column as there is room for; the others are named below.
    """
    return _Trials(records, best)


def trial_detail(record: Record) -> RenderableType:
    """All there is to say of one trial: how it ended and why, its parameters, its curve."""
    epochs = f"{record.epochs} in {formatting.duration(record.seconds)}"
    taken_up = "" if record.attempts == 1 else f", taken up {record.attempts} times"
    repeats = "" if record.repeat_of is None else f", the config of trial {record.repeat_of} once more"
    facts = {
        "score": formatting.score(record.value),
        "best epoch": f"{formatting.whole(record.best_epoch)}, "
        f"scored {formatting.score(record.best_score)}",
        "last score": formatting.score(record.last),
        "epochs": epochs + taken_up,
        "worker": formatting.one_line(record.worker or formatting.DASH),
        "seed": formatting.whole(record.seed) + repeats,
        "known as": formatting.one_line(record.known or formatting.DASH),
    }
    title = Text.assemble((f"trial {record.number}", "bold"), "  ", (record.state, STYLES[record.state]))
    parts: list[RenderableType] = [title, Text(), _pairs(facts)]
    if record.params:
        values = {name: formatting.parameter(value) for name, value in record.params.items()}
        parts += [Text(), _pairs(values)]
    if record.reason:
        where = f" at epoch {record.reason.epoch}" if record.reason.epoch is not None else ""
        label = Text.assemble((f"{record.reason.code}{where}", STYLES[record.state]))
        # A traceback keeps its lines; what else moves the cursor goes.
        lines = (
            Text("".join(c for c in line if c.isprintable())) for line in record.reason.text.splitlines()
        )
        parts += [Text(), label, *lines]
    if record.control:
        parts += [Text(), Text("control", STYLES["pruned"]), Text(formatting.one_line(record.control.text))]
    drawn = _plot(record)
    return Group(*parts, *([Text(), *drawn] if drawn else []))


def best_summary(
    record: Record,
    known: Record | None,
    files: Path | None,
    *,
    direction: Direction,
    smooth: int,
    target: float | None = None,
) -> RenderableType:
    """The best trial, parameter by parameter against the best known config, and where its files are.

    Args:
        known: the best of the known configs that completed, if any did.
        smooth: how many validations the score is the mean of.
    """
    mean = f"mean of {smooth} validations" if smooth > 1 else "one validation"
    best = f"epoch {formatting.whole(record.best_epoch)} scored {formatting.score(record.best_score)}"
    title = Text.assemble(
        ("best  ", "dim"),
        (formatting.score(record.value), "bold green"),
        f"  trial {record.number}, {mean}; {best}",
    )
    parts: list[RenderableType] = [title, Text(), *_against(record, known, direction)]
    distance = distance_to_target(record.value, target, direction)
    if distance:
        parts.append(distance)
    if files is not None:
        parts += [Text(), Text.assemble(("files  ", "dim"), str(files), overflow="ignore", no_wrap=True)]
    return Group(*parts)


def closing(snapshot: Snapshot, best_dir: Path | None) -> RenderableType:
    """The end of a search: what became of the trials, the best of them, what to do next."""
    budget = snapshot.budget
    title = Text.assemble((formatting.one_line(snapshot.study), "bold"), "  ")
    title.append(f"{budget.finished} of {budget.trials} trials: {budget.complete} complete, ")
    title.append(f"{budget.pruned} pruned, {budget.failed} failed")
    if budget.gpu_hours is not None:
        title.append(f"; {formatting.gpu_hours(budget)}")
    epochs = f"{snapshot.epochs_run} epochs run, {snapshot.epochs_saved} left out by pruning"
    parts: list[RenderableType] = [title, Text(epochs, style="dim")]
    if snapshot.best is not None:
        best = best_summary(
            snapshot.best,
            snapshot.best_known,
            best_dir,
            direction=snapshot.direction,
            smooth=snapshot.smooth,
            target=snapshot.target,
        )
        parts += [Text(), best]
    elif snapshot.answer is None:
        parts += [Text(), Text("No trial completed.", style="bold"), *_failures(snapshot)]
    commands = [
        Text(f"  {line}", style="bold", overflow="ignore", no_wrap=True) for line in _next(snapshot)
    ]
    return Group(*parts, Text(), Text("next", style="dim"), *commands)


def _next(snapshot: Snapshot) -> list[str]:
    """The commands that a person would use now."""
    if not snapshot.budget.used_up:
        return [f"search start --study {snapshot.study}"]
    if snapshot.answer is not None:
        return [snapshot.answer, f"search trials --study {snapshot.study}"]
    commands = ["report"] if snapshot.best else []
    commands += ["confirm"] if snapshot.best_known else []
    commands += ["trials"]
    return [*(f"search {command} --study {snapshot.study}" for command in commands), "search dashboard"]


def _against(record: Record, known: Record | None, direction: Direction) -> list[RenderableType]:
    """The parameters of `record`, old → new where `known` had another value, and the gain in words."""
    if known is None or known.number == record.number:
        values = {name: formatting.parameter(value) for name, value in record.params.items()}
        if known is None:
            said = "No known config completed, so there is none to compare it with."
        else:
            said = f"It is the known config {formatting.one_line(known.known or formatting.DASH)}."
        return [_pairs(values), Text(), Text(said)]

    name = formatting.one_line(known.known or formatting.DASH)
    rows = {"": Text(f"{name} → trial {record.number}", style="dim")}
    for parameter in {**known.params, **record.params}:
        old, new = known.params.get(parameter), record.params.get(parameter)
        same = Text.assemble(formatting.parameter(new), ("  the same", "dim"))
        rows[parameter] = same if old == new else Text(formatting.change(old, new), style="bold")
    source = f"the best known config, {name} (trial {known.number}, {formatting.score(known.value)})"
    better = formatting.gain(record.value, known.value, direction)
    if better is None:
        said = f"Compared with {source}."
    else:
        word = "better" if better >= 0 else "worse"
        said = f"{formatting.score(abs(better))} {word} than {source}. {ONE_SEED}"
    return [_pairs(rows), Text(), prose(said)]


def _failures(snapshot: Snapshot) -> list[Text]:
    """Why trials failed, the most frequent cause first."""
    trials = defaultdict(list)
    for record in snapshot.finished:
        if record.state == "failed":
            trials[cause(record)].append(record.number)
    often = sorted(trials.items(), key=lambda item: -len(item[1]))
    return [Text(f"  {len(numbers)} × {text} (trial {numbers[0]})") for text, numbers in often[:3]]


def _pairs(values: Mapping[str, str | Text]) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(Text(name), Text(value) if isinstance(value, str) else value)
    return grid


def _plot(record: Record) -> list[Text]:
    """The curve with its range on the left, its epochs below, and the best one marked."""
    drawn = formatting.plot(record.curve, PLOT_WIDTH, PLOT_HEIGHT)
    limits = formatting.extent(record.curve)
    if not drawn or limits is None:
        return []
    low, high = formatting.score(limits[0]), formatting.score(limits[1])
    margin = max(len(low), len(high))
    labels = [high, *[""] * (PLOT_HEIGHT - 2), low]
    lines = [
        Text.assemble((f"{label:>{margin}} ", "dim"), (line, "cyan"))
        for label, line in zip(labels, drawn, strict=True)
    ]
    last, width = len(record.curve), len(drawn[0])
    axis = f"1{last:>{width - 1}}" if last > 1 else "1"
    lines.append(Text(f"{'':>{margin}} {axis}", style="dim"))
    if record.best_epoch is not None and record.best_epoch <= last:
        column = (record.best_epoch - 1) * width // last
        said = f"epoch {record.best_epoch}"
        fits = column >= len(said) + 1
        marker = f"{said} ▲".rjust(column + 1) if fits else " " * column + f"▲ {said}"
        lines.append(Text(f"{'':>{margin}} {marker}"))
    return lines


@dataclass(frozen=True)
class _Column:
    title: str
    cells: Sequence[Text]
    justify: Literal["left", "right"]

    @property
    def width(self) -> int:
        return max([*map(len, self.title.split("\n")), *(cell.cell_len for cell in self.cells)])


@dataclass(frozen=True)
class _Trials:
    records: Sequence[Record]
    best: int | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.records:
            yield Text("no trials yet", style="dim")
            return
        columns = self._facts()
        room = options.max_width + GAP - sum(column.width + GAP for column in columns)
        left_out = []
        for name, short in formatting.short_names(
            {n: None for r in self.records for n in r.params}
        ).items():
            values = [
                formatting.parameter(r.params[name]) if name in r.params else "" for r in self.records
            ]
            column = _Column(short.replace("_", "\n"), [Text(value) for value in values], "right")
            room -= column.width + GAP
            if room >= 0:
                columns.append(column)
            else:
                left_out.append(short)

        table = bare_table()
        for column in columns:
            table.add_column(column.title, justify=column.justify, vertical="bottom", no_wrap=True)
        for row, record in enumerate(self.records):
            style = "bold" if record.number == self.best else ""
            table.add_row(*(column.cells[row] for column in columns), style=style)
        yield table
        if left_out:
            yield Text(f"no room for {', '.join(left_out)}: widen the terminal, or --json", style="dim")

    def _facts(self) -> list[_Column]:
        records = self.records
        numbers = [Text(f"{'*' if r.number == self.best else ''}{r.number}") for r in records]
        states = [
            Text(r.reason.code if r.state == "failed" and r.reason else r.state, style=STYLES[r.state])
            for r in records
        ]
        curves = [Text(formatting.sparkline(r.curve, CURVE_WIDTH), style="cyan") for r in records]
        return [
            _Column("trial", numbers, "right"),
            _Column("state", states, "left"),
            _Column("score", [Text(formatting.score(r.value)) for r in records], "right"),
            _Column("best", [Text(formatting.score(r.best_score)) for r in records], "right"),
            _Column("epochs", [Text(str(r.epochs)) for r in records], "right"),
            _Column("time", [Text(formatting.duration(r.seconds)) for r in records], "right"),
            _Column("curve", curves, "left"),
        ]
