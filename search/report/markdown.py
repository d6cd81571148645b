"""A report as Markdown, in GitHub's dialect for the tables."""

import re
from collections.abc import Callable, Iterable

from search.report.blocks import Block, Bullets, Code, Document, Figure, Paragraph, Table, spans


def render(
    document: Document, link: Callable[[Figure], str | None] = lambda figure: str(figure.path)
) -> str:
    """The whole text.

    Args:
        link: where a picture is, None where it is nowhere; by default the file beside the report.
    """
    blocks = [f"# {_inline(document.title)}", *(_block(block, link) for block in document.lead)]
    for section in document.sections:
        blocks += [f"## {_inline(section.title)}", *(_block(block, link) for block in section.blocks)]
    return "\n\n".join(blocks) + "\n"


def _block(block: Block, link: Callable[[Figure], str | None]) -> str:
    if isinstance(block, Paragraph):
        return _inline(block.text)
    if isinstance(block, Bullets):
        return "\n".join(f"- {_inline(item)}" for item in block.items)
    if isinstance(block, Code):
        return "\n".join(["```sh", *block.lines, "```"])
    if isinstance(block, Figure):
        where = link(block)
        picture = f"![{_inline(block.shows)}]({where})\n\n" if where else ""
        return f"{picture}{_inline(block.caption)}"
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
