"""Notices that a trial hangs: no batch for five times as long as the longest pause it had before.

An objective polls `run.should_stop()` at each batch; that is a sign of progress, and so is an epoch. A
thread looks for signs and keeps a time of its own: it counts the steps it made itself, so that a
suspended machine or a stopped process does not look like one that hangs.

What it cannot see is a thread that hangs in C code with Python's lock in its hand: then this one stands
still as well. So do the signs of life; the lease ends, and others take the trial over.
"""

import faulthandler
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

from search.objective import EpochResult

HANG_SECONDS = float(os.environ.get("SEARCH_HANG_SECONDS", "600"))
"""No shorter silence is a hang: data are read, kernels compiled, an epoch validated without a poll."""

TIMES = 5  # the longest pause so far
FIRST = 6  # HANG_SECONDS, until an epoch is done: before, nothing is usual
LOOKS = 20  # per HANG_SECONDS


class Watchdog:
    """Watches one trial in this process; calls `hung` with a sentence once, from a thread of its own."""

    def __init__(self, hung: Callable[[str], None], seconds: float = HANG_SECONDS) -> None:
        self._hung = hung
        self._seconds = seconds
        self._signs = 0
        self._epoch = 0  # the last one that was trained here
        self._inside = False  # the objective; what the worker does between epochs has no batches
        self._done = threading.Event()

    def polled(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """`should_stop`, every call of it a sign."""

        def poll() -> bool:
            self._signs += 1
            return should_stop()

        return poll

    def over(self, results: Iterator[EpochResult]) -> Generator[EpochResult, None, None]:
        """`results`, watched while the next one is made; closes them when it is closed."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        try:
            with closing(results):  # type: ignore[type-var]
                self._inside = True
                for result in results:
                    self._inside = False
                    self._signs += 1
                    self._epoch = self._epoch if result.resumed else result.epoch
                    yield result
                    self._inside = True
        finally:
            self._done.set()

    def _watch(self) -> None:
        step = self._seconds / LOOKS
        silent = longest = 0.0
        signs, before = self._signs, time.monotonic()
        while not self._done.wait(step):
            now = time.monotonic()
            lived = min(now - before, 2 * step)  # what is more, this thread was not there for
            before = now
            if self._inside and self._signs == signs:
                silent += lived
                if silent > self._limit(longest):
                    self._hung(self._sentence(silent, longest))
                    return
            else:
                signs, longest, silent = self._signs, max(longest, silent), 0.0

    def _limit(self, longest: float) -> float:
        return max(self._seconds * (1 if self._epoch else FIRST), TIMES * longest)

    def _sentence(self, silent: float, longest: float) -> str:
        where = f"after epoch {self._epoch}" if self._epoch else "before its first epoch was done"
        return f"hung {where}: no batch for {silent:.0f} s, the longest pause before was {longest:.0f} s"


def dump(log: Path) -> None:
    """Adds what every thread of this process is doing to a trial's log."""
    with log.open("a") as file:
        faulthandler.dump_traceback(file, all_threads=True)
