"""What all that is printed is made of: tables without lines, prose in lines that are easy to read."""

from rich.console import RenderableType
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

GAP = 2
"""Spaces between two columns."""

PROSE_WIDTH = 90


def bare_table() -> Table:
    """Columns beside each other under dim titles."""
    return Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")


def prose(text: str, style: str = "") -> RenderableType:
    """A sentence or more, no wider than is easy to read."""
    return Constrain(Text(text, style=style), PROSE_WIDTH)
