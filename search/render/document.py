"""What a report consists of before it is Markdown or HTML: sections of a few kinds of blocks.

A text is literal but for one thing: what stands between two backticks is code. Names that somebody else
chose go through `literal` first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from search import formatting


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below a head.

    Attributes:
        numeric: how many columns, counted from the right, hold numbers.
        note: a sentence below it.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: int = 0
    note: str = ""

    def right(self, column: int) -> bool:
        """Whether a column is set to the right."""
        return column >= len(self.head) - self.numeric


@dataclass(frozen=True, slots=True)
class Code:
    """Commands to copy, one a line."""

    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture beside the report: its path from there, what it shows, and what to see in it."""

    path: PurePosixPath
    shows: str
    caption: str


Block = Paragraph | Bullets | Table | Code | Figure


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """Its name in a link."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


@dataclass(frozen=True, slots=True)
class Document:
    """A title, what is to be said first, and sections."""

    title: str
    lead: Sequence[Block]
    sections: Sequence[Section]

    @property
    def figures(self) -> list[Figure]:
        """All pictures in order."""
        blocks = [*self.lead, *(block for section in self.sections for block in section.blocks)]
        return [block for block in blocks if isinstance(block, Figure)]


def literal(text: object) -> str:
    """A foreign text on one line, in which nothing is code."""
    return formatting.one_line(str(text)).replace("`", "'")


def code(text: object) -> str:
    """A foreign text as code."""
    return f"`{literal(text)}`"


def spans(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a text, and whether each is code; an odd backtick is one."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = [f"{parts[-2]}`{parts[-1]}"]
    return ((part, bool(index % 2)) for index, part in enumerate(parts) if part)
