"""What `search start` shows while it runs: a live picture on a terminal, plain lines elsewhere.

Both go to stderr, since stdout is for data. The live picture replaces its own lines in place, outside of
the alternate screen, and leaves the study's three lines behind. The plain lines say what happened between
two snapshots, so that a log file holds one line per event however often it looks.
"""

import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TextIO

from rich.console import Console
from rich.live import Live

from search import formatting
from search.records import Snapshot
from search.ui.events import beginning, events, progress
from search.ui.overview import Overview, StudyHeadline

REFRESH_SECONDS = 0.25
PROGRESS_SECONDS = 30.0


def follow(snapshots: Iterable[Snapshot], stream: TextIO | None = None) -> Snapshot | None:
    """Shows the snapshots on `stream` (stderr) as they come; returns the last one, None without any.

    The picture is for a terminal that can move its cursor.
    """
    console = Console(file=stream or sys.stderr, highlight=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return show_picture(snapshots, console)
    return write_lines(snapshots, stream or sys.stderr)


def show_picture(
    snapshots: Iterable[Snapshot], console: Console, clock: Callable[[], float] = time.monotonic
) -> Snapshot | None:
    """Keeps one picture of the latest snapshot, drawn every `REFRESH_SECONDS` at most."""
    snapshot, drawn = None, float("-inf")
    # By default rich redirects stdout to stderr, and data printed there could not be piped.
    with Live(console=console, auto_refresh=False, redirect_stdout=False) as live:
        try:
            for snapshot in snapshots:
                if (now := clock()) - drawn >= REFRESH_SECONDS:
                    drawn = now
                    live.update(Overview(snapshot, fit=True), refresh=True)
        finally:
            if snapshot is not None:
                live.update(StudyHeadline(snapshot))
    return snapshot


def write_lines(
    snapshots: Iterable[Snapshot],
    stream: TextIO,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = datetime.now,
) -> Snapshot | None:
    """Writes a line with a time stamp for each event, and the progress every `PROGRESS_SECONDS`."""

    def write(line: str) -> None:
        print(f"{now():%H:%M:%S}  {formatting.one_line(line)}", file=stream, flush=True)

    last: Snapshot | None = None
    written, written_at = "", clock()
    try:
        for snapshot in snapshots:
            for line in beginning(snapshot) if last is None else events(last, snapshot):
                write(line)
            last, line = snapshot, progress(snapshot)
            if line != written and clock() - written_at >= PROGRESS_SECONDS:
                written, written_at = line, clock()
                write(line)
    finally:
        if last is not None and (line := progress(last)) != written:
            write(line)
    return last
