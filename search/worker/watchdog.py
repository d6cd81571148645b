"""Notices that a trial hangs: no batch for five times as long as its longest pause so far.

An objective polls `run.should_stop()` at each batch; that is progress, and so is an epoch. A thread looks
for progress and measures time by its own steps, so that a suspended machine or a stopped process does not
look like one that hangs.

It cannot notice C code that hangs while it holds Python's lock: that stops this thread, too. It also stops
the heartbeat, so the lease expires, and another worker takes the trial over.
"""

import faulthandler
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

from search.objective import EpochResult
from storage.environment import seconds

HANG_SECONDS = 600.0
"""No shorter pause is a hang: an objective may read data, compile or validate without polling."""

TIMES = 5  # times the longest pause so far
FIRST = 6  # times HANG_SECONDS before the first epoch: there is nothing to compare with yet
LOOKS = 20  # checks per HANG_SECONDS


class Watchdog:
    """Watches one trial in this process; calls `hung` once, with a sentence, from a thread of its own."""

    def __init__(self, hung: Callable[[str], None], seconds: float | None = None) -> None:
        self._hung = hung
        self._seconds = hang_seconds() if seconds is None else seconds
        self._progress = 0
        self._epoch = 0  # the last one trained here
        self._inside = False  # the objective: between epochs the worker has no batches
        self._done = threading.Event()

    def polled(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """`should_stop`, with every call of it counted as progress."""

        def poll() -> bool:
            self._progress += 1
            return should_stop()

        return poll

    def over(self, results: Iterator[EpochResult]) -> Generator[EpochResult, None, None]:
        """`results`, watched while the next one is computed; closing it closes them."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        try:
            with closing(results):  # type: ignore[type-var]
                self._inside = True
                for result in results:
                    self._inside = False
                    self._progress += 1
                    self._epoch = self._epoch if result.resumed else result.epoch
                    yield result
                    self._inside = True
        finally:
            self._done.set()

    def _watch(self) -> None:
        step = self._seconds / LOOKS
        silent = longest = 0.0
        progress, before = self._progress, time.monotonic()
        while not self._done.wait(step):
            now = time.monotonic()
            lived = min(now - before, 2 * step)  # the rest of the time this thread did not run
            before = now
            if self._inside and self._progress == progress:
                silent += lived
                if silent > max(self._seconds * (1 if self._epoch else FIRST), TIMES * longest):
                    self._hung(self._sentence(silent, longest))
                    return
            else:
                progress, longest, silent = self._progress, max(longest, silent), 0.0

    def _sentence(self, silent: float, longest: float) -> str:
        where = f"after epoch {self._epoch}" if self._epoch else "before its first epoch was done"
        return f"hung {where}: no batch for {silent:.0f} s, the longest pause before was {longest:.0f} s"


def hang_seconds() -> float:
    """SEARCH_HANG_SECONDS, or its default; raises StorageError where it is no number above 0."""
    return seconds("SEARCH_HANG_SECONDS", HANG_SECONDS)


def dump(log: Path) -> None:
    """Appends the stack of every thread of this process to a trial's log."""
    with log.open("a") as file:
        faulthandler.dump_traceback(file, all_threads=True)
