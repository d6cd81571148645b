"""What `search start` shows while it runs: a live picture on a terminal, plain lines elsewhere.

Both go to stderr, since stdout is for data. The live view replaces its own lines in place, outside of
the alternate screen, and leaves the study's three lines behind. The plain view writes a line for what
happened between two snapshots, so that a log file holds one line per event however often it looks.
"""

import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live

from search import formatting
from search.records import Snapshot
from search.ui.events import beginning, events, progress
from search.ui.overview import Overview, StudyHeadline

REFRESH_SECONDS = 0.25
PROGRESS_SECONDS = 30.0


class LiveView:
    """A context manager that keeps one picture of the latest snapshot on a terminal."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        # By default rich redirects stdout to stderr, and data printed there could not be piped.
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False)
        self._clock = clock
        self._drawn: float | None = None
        self._snapshot: Snapshot | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def update(self, snapshot: Snapshot) -> None:
        """Draw `snapshot`, unless the last one was drawn less than `REFRESH_SECONDS` ago."""
        self._snapshot = snapshot
        now = self._clock()
        if self._drawn is None or now - self._drawn >= REFRESH_SECONDS:
            self._drawn = now
            self._live.update(Overview(snapshot, fit=True), refresh=True)

    def __exit__(self, *error: object) -> None:
        if self._snapshot:
            self._live.update(StudyHeadline(self._snapshot))
        self._live.stop()


class PlainView:
    """A context manager that writes a line with a time stamp for each event."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._now = now
        self._last: Snapshot | None = None
        self._progress = ""
        self._progress_at = clock()

    def __enter__(self) -> Self:
        return self

    def update(self, snapshot: Snapshot) -> None:
        """Write what is new in `snapshot`, and the study's progress every `PROGRESS_SECONDS`."""
        for line in beginning(snapshot) if self._last is None else events(self._last, snapshot):
            self._write(line)
        self._last = snapshot
        line = progress(snapshot)
        if line != self._progress and self._clock() - self._progress_at >= PROGRESS_SECONDS:
            self._progress, self._progress_at = line, self._clock()
            self._write(line)

    def __exit__(self, *error: object) -> None:
        if self._last and (line := progress(self._last)) != self._progress:
            self._write(line)

    def _write(self, line: str) -> None:
        print(f"{self._now():%H:%M:%S}  {formatting.one_line(line)}", file=self._stream, flush=True)


def view(stderr: TextIO) -> LiveView | PlainView:
    """The live view if `stderr` is a terminal that can move its cursor, else the plain one."""
    console = Console(file=stderr, highlight=False)
    return LiveView(console) if console.is_terminal and not console.is_dumb_terminal else PlainView(stderr)


def follow(snapshots: Iterable[Snapshot]) -> Snapshot | None:
    """Shows the snapshots on stderr as they come; returns the last one, None if there was none."""
    snapshot = None
    with view(sys.stderr) as live:
        for snapshot in snapshots:
            live.update(snapshot)
    return snapshot
