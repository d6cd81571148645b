"""The document model: everything a command or a report tells a reader is made of these blocks.

Three renderers draw them: `terminal`, `markdown`, `html`. Texts are literal except that a part between two
backticks is code; names chosen by somebody else go through `literal` or `code` first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from search import formatting

Status = Literal["plain", "good", "bad", "open", "quiet"]
"""How a result is coloured where there are colours; `open` is undecided, `quiet` is of less interest."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer in short.

    Attributes:
        text: what was found. status: colours it. detail: figures that belong to it.
    """

    text: str
    status: Status
    detail: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.text}: {self.detail}." if self.detail else f"{self.text}."


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Marked:
    """A cell of a table with a status."""

    text: str
    status: Status


Cell = str | Marked


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below a head.

    Attributes:
        numeric: how many columns, counted from the right, hold numbers.
        note: a sentence below it.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: int = 0
    note: str = ""

    def right(self, column: int) -> bool:
        """Whether a column is aligned to the right."""
        return column >= len(self.head) - self.numeric


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings by dotted name with their values, as running text.

    Attributes:
        title: what they have in common. first: how many of them matter most.
        more: how many are left out.
    """

    title: str
    values: Mapping[str, str]
    first: int = 0
    more: int = 0

    @property
    def sentence(self) -> str:
        values = [f"{code(name)} {literal(value)}" for name, value in self.values.items()]
        if self.more:
            values.append(f"and {self.more} more")
        return f"{self.title}: {', '.join(values) or 'nothing'}."


@dataclass(frozen=True, slots=True)
class Code:
    """Commands to copy, one per line."""

    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture beside the report: its path from there, what it shows, and what to see in it.

    Attributes:
        draw: draws it into the file that it is given.
    """

    path: PurePosixPath
    shows: str
    caption: str
    draw: Callable[[Path], object]


Block = Headline | Paragraph | Bullets | Table | Settings | Code | Figure


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A heading and the blocks below it."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """Its name in a link."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


@dataclass(frozen=True, slots=True)
class Document:
    """A title, blocks before the first section, and sections."""

    title: str
    lead: Sequence[Block]
    sections: Sequence[ReportSection] = ()

    @property
    def figures(self) -> list[Figure]:
        """All pictures in order."""
        blocks = [*self.lead, *(block for section in self.sections for block in section.blocks)]
        return [block for block in blocks if isinstance(block, Figure)]


def literal(text: object) -> str:
    """Foreign text on one line, in which nothing is code."""
    return formatting.one_line(str(text)).replace("`", "'")


def code(text: object) -> str:
    """Foreign text as code."""
    return f"`{literal(text)}`"


def text_of(cell: Cell) -> str:
    """A cell's text without its status."""
    return cell if isinstance(cell, str) else cell.text


def spans(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a text, and whether each is code; a backtick without a partner stays a backtick."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = [f"{parts[-2]}`{parts[-1]}"]
    return ((part, bool(index % 2)) for index, part in enumerate(parts) if part)
