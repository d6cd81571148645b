"""Draws the live view of a study that is running as an SVG, for the README.

python docs/pictures/draw_live.py faces sqlite:///runs/search.db docs/pictures/live.svg
"""

import sys
from io import StringIO
from pathlib import Path

from rich.console import Console

from search.study.read import read_snapshot
from search.study.resolve import resolve_study
from search.ui.overview import Overview

WIDTH = 120  # columns


def main(study: str, url: str, out: str) -> None:
    snapshot = read_snapshot(resolve_study(url, study, read_only=True))
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    console.print(Overview(snapshot))
    Path(out).write_text(console.export_svg(title=f"search status --study {study} --watch"))


if __name__ == "__main__":
    main(*sys.argv[1:])
