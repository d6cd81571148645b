"""A report as one HTML file: pictures inside, no script, readable on a desk and on a phone."""

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

from search.render.document import Block, Bullets, Code, Document, Figure, Paragraph, Table, spans

STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1rem 1rem 4rem; max-width: 46rem; background: #fff; color: #1b1f24;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
  overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .6rem 0 1rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.6rem 0 .6rem; padding-top: .8rem;
  border-top: 1px solid #d5dae0; }
p, ul, figure, pre, .table { margin: .8rem 0; }
ul { padding-left: 1.2rem; }
li { margin: .3rem 0; }
nav ul { padding: 0; list-style: none; columns: 2 15rem; font-size: .92rem; }
nav li { margin: 0; padding: .15rem 0; }
a { color: #0b57a4; }
code { font: .88em ui-monospace, "DejaVu Sans Mono", monospace; background: #f1f3f5; padding: .1em .3em;
  border-radius: 3px; }
pre { background: #f1f3f5; padding: .7rem .9rem; border-radius: 5px; overflow-x: auto; }
pre code { background: none; padding: 0; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; min-width: 60%; }
th, td { padding: .32rem .8rem .32rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #e3e7eb; }
th { font-weight: 600; color: #4a525b; vertical-align: bottom; max-width: 11rem; }
td { min-width: 3.2rem; }
td:first-child { min-width: 8rem; }
.number { text-align: right; }
td.number { white-space: nowrap; }
.note, figcaption { color: #4a525b; font-size: .92rem; }
img { display: block; max-width: 100%; height: auto; }
@media (max-width: 30rem) { body { font-size: 15px; } table { font-size: .82rem; }
  th, td { padding-right: .5rem; } td { min-width: 0; } td:first-child { min-width: 5.2rem; }
  td.number { white-space: normal; } }
@media print { body { max-width: none; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""


def render(document: Document, folder: Path) -> str:
    """The whole page; pictures are read from below `folder` and put inside."""
    links = "".join(
        f'<li><a href="#{section.anchor}">{_inline(section.title)}</a></li>'
        for section in document.sections
    )
    parts = [f"<h1>{_inline(document.title)}</h1>", *_blocks(document.lead, folder)]
    parts.append(f'<nav aria-label="Contents"><ul>{links}</ul></nav>')
    for section in document.sections:
        parts.append(f'<h2 id="{section.anchor}">{_inline(section.title)}</h2>')
        parts += _blocks(section.blocks, folder)
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(document.title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _blocks(blocks: Iterable[Block], folder: Path) -> list[str]:
    return [_block(block, folder) for block in blocks]


def _block(block: Block, folder: Path) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{_inline(block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Code):
        return f"<pre><code>{escape(chr(10).join(block.lines))}</code></pre>"
    if isinstance(block, Figure):
        inside = base64.b64encode((folder / block.path).read_bytes()).decode()
        picture = f'<img alt="{escape(block.shows, quote=True)}" src="data:image/png;base64,{inside}">'
        return f"<figure>{picture}<figcaption>{_inline(block.caption)}</figcaption></figure>"
    return _table(block)


def _table(table: Table) -> str:
    head = _row("th", table.head, table)
    rows = "".join(_row("td", row, table) for row in table.rows)
    note = f'<p class="note">{_inline(table.note)}</p>' if table.note else ""
    # Reached with the keyboard as well: whoever has no mouse must be able to scroll it.
    box = '<div class="table" tabindex="0" role="region" aria-label="Table">'
    return f"{box}<table><thead>{head}</thead><tbody>{rows}</tbody></table></div>{note}"


def _row(tag: str, cells: Iterable[str], table: Table) -> str:
    written = []
    for column, cell in enumerate(cells):
        style = ' class="number"' if table.right(column) else ""
        written.append(f"<{tag}{style}>{_inline(cell)}</{tag}>")
    return f"<tr>{''.join(written)}</tr>"


def _inline(text: str) -> str:
    return "".join(
        f"<code>{escape(part)}</code>" if is_code else escape(part) for part, is_code in spans(text)
    )
