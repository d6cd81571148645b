"""A document as Markdown, with GitHub's tables."""

import re
import shlex
from collections.abc import Callable, Iterable

from search.render.document import (
    Block,
    Bullets,
    Code,
    Document,
    Figure,
    Headline,
    Paragraph,
    Settings,
    Table,
    spans,
    text_of,
)

WIDTH = 96
"""Characters per line of a command: a longer line would widen the page."""


NOTE_GAP = 3 * "\N{NO-BREAK SPACE}"
"""Between the columns of a table in a note on the dashboard, whose style leaves no room there."""


def render(
    document: Document,
    link: Callable[[Figure], str | None] = lambda figure: str(figure.path),
    gap: str = "",
) -> str:
    """The whole text.

    Args:
        link: where a picture is, None where it cannot be linked; by default the file beside the report.
        gap: what else is between the columns of a table.
    """
    blocks = [f"# {inline(document.title)}", *(_block(block, link, gap) for block in document.lead)]
    for section in document.sections:
        blocks += [f"## {inline(section.title)}", *(_block(block, link, gap) for block in section.blocks)]
    return "\n\n".join(blocks) + "\n"


def _block(block: Block, link: Callable[[Figure], str | None], gap: str) -> str:
    if isinstance(block, Headline):
        return f"**{inline(block.text)}**" + (f": {inline(block.detail)}." if block.detail else ".")
    if isinstance(block, Paragraph):
        return inline(block.text)
    if isinstance(block, Settings):
        return inline(block.sentence)
    if isinstance(block, Bullets):
        return "\n".join(f"- {inline(item)}" for item in block.items)
    if isinstance(block, Code):
        return "\n".join(["```sh", *map(folded, block.lines), "```"])
    if isinstance(block, Figure):
        where = link(block)
        picture = f"![{inline(block.shows)}]({where})\n\n" if where else ""
        return f"{picture}{inline(block.caption)}"
    return _table(block, gap)


def folded(command: str) -> str:
    """A long command on several lines; each but the first begins with a flag."""
    lines, rest = [""], ""
    for part in re.split(r"(?= --)", command):
        rest += part
        if _in_quotes(rest):
            continue
        if lines[-1] and len(lines[-1] + rest) > WIDTH:
            lines.append("   ")
        lines[-1], rest = lines[-1] + rest, ""
    return " \\\n".join(lines)


def _in_quotes(part: str) -> bool:
    try:
        shlex.split(part)
    except ValueError:
        return True
    return False


def _table(table: Table, gap: str) -> str:
    def row(cells: Iterable[str]) -> str:
        return f"| {f'{gap} | '.join(cells)} |"

    rule = ["---:" if table.right(column) else "---" for column in range(len(table.head))]
    lines = [
        row(map(inline, table.head)),
        f"| {' | '.join(rule)} |",
        *(row(inline(text_of(cell)) for cell in cells) for cells in table.rows),
    ]
    return "\n".join(lines) + (f"\n\n{inline(table.note)}" if table.note else "")


def inline(text: str) -> str:
    """A text in which only code is marked up, and whatever else looks like markup is escaped."""
    return "".join(
        f"`{part}`".replace("|", "\\|") if is_code else re.sub(r"([\\*<>|\[\]#~]|\b_|_\b)", r"\\\1", part)
        for part, is_code in spans(text)
    )
