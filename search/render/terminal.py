"""The document model on a terminal, drawn by rich; and what is drawn there without it."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal, TextIO

from rich import table as rich_table
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.text import Text

from search import formatting
from search.render.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Figure,
    Headline,
    Paragraph,
    Settings,
    Status,
    Table,
    spans,
)

GAP = 2
"""Spaces between two columns."""

PROSE_WIDTH = 90
WIDEST = 120  # columns of running settings

PIPED_WIDTH = 160
"""Columns of what goes into a pipe or a file, where there is no terminal to fit."""

STYLES: dict[Status, str] = {"plain": "", "good": "green", "bad": "red", "open": "yellow", "quiet": "dim"}


def show(renderable: RenderableType, stream: TextIO | None = None) -> None:
    """Print to `stream` (stdout): as wide as the terminal, or `PIPED_WIDTH` where there is none."""
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    # A command or a path that is cut off could not be copied.
    console.print(renderable, crop=False)


@dataclass(frozen=True)
class RichBlocks:
    """Blocks of a document below each other, drawn to fit the width."""

    blocks: Sequence[Block]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST)
        before: Block | None = None
        for block in self.blocks:
            # Sentences follow each other without a gap; a table stands by itself.
            if before is not None and not _is_prose(before, block):
                yield Text()
            yield from _draw(block, width)
            before = block


def bare_table() -> rich_table.Table:
    """Columns beside each other under dim titles, without lines."""
    return rich_table.Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")


def pairs(values: Mapping[str, str | Text]) -> RenderableType:
    """Names and values, a line each."""
    grid = rich_table.Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(Text(name), Text(value) if isinstance(value, str) else value)
    return grid


def prose(text: str | Text) -> RenderableType:
    """Running text, no wider than is easy to read."""
    return Constrain(Text(text) if isinstance(text, str) else text, PROSE_WIDTH)


def flow(items: Iterable[Text], width: int, indent: int = 0) -> list[Text]:
    """`items` with dots between them, on as many lines as that takes, broken between items only."""
    lines: list[Text] = []
    for item in items:
        if lines and lines[-1].cell_len + 3 + item.cell_len <= width:
            lines[-1].append(" · ", "dim").append_text(item)
        else:
            lines.append(Text(" " * indent).append_text(item))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _is_prose(*blocks: Block) -> bool:
    return all(isinstance(block, Headline | Paragraph) for block in blocks)


def _draw(block: Block, width: int) -> Iterable[RenderableType]:
    match block:
        case Headline():
            title, detail = _inline(block.text, f"bold {STYLES[block.status]}"), _inline(block.detail)
            if title.cell_len + 2 + detail.cell_len <= width:
                yield Text("  ").join([title, detail])
            else:
                yield from (title, detail)
        case Paragraph():
            yield prose(_inline(block.text))
        case Bullets():
            items = rich_table.Table.grid(padding=(0, 1, 0, 0))
            for item in block.items:
                items.add_row("-", _inline(item))
            yield Constrain(items, PROSE_WIDTH)
        case Table():
            yield _table(block, width)
            if block.note:
                yield prose(_inline(block.note, "dim"))
        case Settings():
            yield Text(block.title, style="dim")
            yield from flow(_settings(block), width, indent=2)
        case Code():
            for line in block.lines:
                yield Text(f"  {line}", style="bold", overflow="ignore", no_wrap=True)
        case Figure():
            yield prose(f"{block.shows}: {block.path}")


def _inline(text: str, style: str = "", code_style: str = "bold") -> Text:
    line = Text(style=style)
    for part, is_code in spans(text):
        line.append(part, code_style if is_code else "")
    return line


def _table(table: Table, width: int) -> rich_table.Table:
    drawn = bare_table()
    head, rows = (
        [_inline(title) for title in table.head],
        [[_cell(cell) for cell in row] for row in table.rows],
    )
    widths = _widths(list(zip(head, *rows, strict=True)), width - GAP * (len(head) - 1))
    for column, (title, wide) in enumerate(zip(head, widths, strict=True)):
        justify: Literal["left", "right"] = "right" if table.right(column) else "left"
        drawn.add_column(title, justify=justify, overflow="fold", width=wide)
    for row in rows:
        drawn.add_row(*row)
    return drawn


def _widths(columns: Sequence[Sequence[Text]], room: int) -> list[int]:
    """As wide as the cells. To fit into `room`, columns wrap where that costs the table the fewest lines.

    Words are broken only if there is no other way.
    """
    widths = [max(1, *(cell.cell_len for cell in column)) for column in columns]
    words = [
        max(1, *(cell_len(word) for cell in column for word in cell.plain.split())) for column in columns
    ]
    now = [_lines(column, wide) for column, wide in zip(columns, widths, strict=True)]
    narrower = [_lines(column, wide - 1) for column, wide in zip(columns, widths, strict=True)]

    def cost(column: int) -> tuple[int, int]:
        heights = [*now[:column], narrower[column], *now[column + 1 :]]
        return sum(map(max, zip(*heights, strict=True))), -widths[column]

    for least in (words, [1] * len(words)):
        while sum(widths) > room and (wider := [i for i, wide in enumerate(widths) if wide > least[i]]):
            column = min(wider, key=cost)
            widths[column] -= 1
            now[column] = narrower[column]
            narrower[column] = _lines(columns[column], widths[column] - 1)
    return widths


def _lines(column: Sequence[Text], width: int) -> list[int]:
    """How many lines each cell of a column takes."""
    return [len(wrap(cell.plain, max(1, width), break_on_hyphens=False)) for cell in column]


def _cell(cell: Cell) -> Text:
    text, style = (cell, "") if isinstance(cell, str) else (cell.text, STYLES[cell.status])
    return _inline(text, style, code_style="")


def _settings(settings: Settings) -> list[Text]:
    names = formatting.short_names(settings.values)
    items = [
        Text.assemble(
            (f"{formatting.one_line(names[name])} ", "dim"),
            (formatting.one_line(value), "bold" if index < settings.first else ""),
        )
        for index, (name, value) in enumerate(settings.values.items())
    ]
    return [*items, Text(f"and {settings.more} more")] if settings.more else items
