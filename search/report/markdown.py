"""A report as Markdown, in GitHub's dialect for the tables."""

import re
from collections.abc import Iterable

from search.report.blocks import Block, Bullets, Code, Document, Figure, Paragraph, Table, spans


def render(document: Document) -> str:
    """The whole text; pictures are links to the files beside it."""
    parts = [f"# {_inline(document.title)}", *map(_block, document.lead)]
    for section in document.sections:
        parts += [f"## {_inline(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return _inline(block.text)
    if isinstance(block, Bullets):
        return "\n".join(f"- {_inline(item)}" for item in block.items)
    if isinstance(block, Code):
        return "\n".join(["```sh", *block.lines, "```"])
    if isinstance(block, Figure):
        return f"![{_inline(block.shows)}]({block.path})\n\n{_inline(block.caption)}"
    return _table(block)


def _table(table: Table) -> str:
    rule = ["---:" if table.right(column) else "---" for column in range(len(table.head))]
    lines = [_row(map(_inline, table.head)), _row(rule), *(_row(map(_inline, row)) for row in table.rows)]
    return "\n".join(lines) + (f"\n\n{_inline(table.note)}" if table.note else "")


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _inline(text: str) -> str:
    """A text in which only what was meant as code is marked up."""
    return "".join(
        f"`{part}`".replace("|", "\\|") if is_code else re.sub(r"([\\*<>|\[\]#~]|\b_|_\b)", r"\\\1", part)
        for part, is_code in spans(text)
    )
