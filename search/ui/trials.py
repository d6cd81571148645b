"""`search trials`: a row per trial, or one trial in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from search import formatting
from search.imports.listing import imported_table
from search.records import ImportedRun, Record, Snapshot
from search.render.terminal import GAP, RichBlocks, bare_table, pairs

CURVE_WIDTH = 16
PLOT_HEIGHT = 8
PLOT_WIDTH = 60
STYLES = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "cyan"}


def trials_page(
    records: Sequence[Record], snapshot: Snapshot, imported: Sequence[ImportedRun]
) -> RenderableType:
    """A row per trial with the best one marked, and below them one per imported run."""
    best, below = snapshot.best, list[RenderableType]()
    if best is not None:
        mean = f"; score: the best mean of {snapshot.smooth} epochs, best: the best epoch"
        below += [Text(f"* the best trial{mean if snapshot.smooth > 1 else ''}", style="dim")]
    if imported:
        below += [Text(), RichBlocks([imported_table(imported)])]
    return Group(TrialsTable(records, best.number if best else None), *below)


def trial_detail(record: Record) -> RenderableType:
    """One trial in full: how it ended and why, its parameters, its curve."""
    epochs = f"{record.epochs} in {formatting.duration(record.seconds)}"
    taken_up = "" if record.attempts == 1 else f", taken up {record.attempts} times"
    repeats = "" if record.repeat_of is None else f", the config of trial {record.repeat_of} once more"
    facts = {
        "score": formatting.score(record.value),
        "best epoch": f"{formatting.whole(record.best_epoch)}, "
        f"scored {formatting.score(record.best_score)}",
        "last score": formatting.score(record.last),
        "epochs": epochs + taken_up,
        "model": formatting.footprint(record.parameters, record.forward_ms) or formatting.DASH,
        "worker": formatting.one_line(record.worker or formatting.DASH),
        "seed": formatting.whole(record.seed) + repeats,
        "known as": formatting.one_line(record.known or formatting.DASH),
    }
    title = Text.assemble((f"trial {record.number}", "bold"), "  ", (record.state, STYLES[record.state]))
    parts: list[RenderableType] = [title, Text(), pairs(facts)]
    if record.params:
        values = {name: formatting.parameter(value) for name, value in record.params.items()}
        parts += [Text(), pairs(values)]
    if record.reason:
        where = f" at epoch {record.reason.epoch}" if record.reason.epoch is not None else ""
        label = Text.assemble((f"{record.reason.code}{where}", STYLES[record.state]))
        # A traceback keeps its lines; other characters that move the cursor are removed.
        lines = (
            Text("".join(c for c in line if c.isprintable())) for line in record.reason.text.splitlines()
        )
        parts += [Text(), label, *lines]
    if record.control:
        parts += [Text(), Text("control", STYLES["pruned"]), Text(formatting.one_line(record.control.text))]
    drawn = _plot(record)
    return Group(*parts, *([Text(), *drawn] if drawn else []))


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
        label = f"epoch {record.best_epoch}"
        fits = column >= len(label) + 1
        marker = f"{label} ▲".rjust(column + 1) if fits else " " * column + f"▲ {label}"
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
class TrialsTable:
    """A row per trial; `best` is the number of the one to mark.

    As many parameters get a column as there is room for; the others are named below.
    """

    records: Sequence[Record]
    best: int | None = None

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
            yield Text(f"no room for {', '.join(left_out)}: widen the terminal, or use --json", style="dim")

    def _sizes(self) -> list[_Column]:
        """Parameters and milliseconds for one example, where the trials' models differ."""
        records = self.records
        if len({r.parameters for r in records if r.parameters is not None}) < 2:
            return []
        return [
            _Column("parameters", [Text(formatting.count(r.parameters)) for r in records], "right"),
            _Column("ms", [Text(formatting.milliseconds(r.forward_ms)) for r in records], "right"),
        ]

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
            *self._sizes(),
            _Column("best", [Text(formatting.score(r.best_score)) for r in records], "right"),
            _Column("epochs", [Text(str(r.epochs)) for r in records], "right"),
            _Column("time", [Text(formatting.duration(r.seconds)) for r in records], "right"),
            _Column("curve", curves, "left"),
        ]
