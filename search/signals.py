"""First signal: finish the batch, give the trial back, leave. Second signal: now."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether a signal came, and which; `code` is the exit code it asks for (130, 143)."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._event = threading.Event()

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def code(self) -> int:
        return 128 + (self.signal or 0)

    def wait(self, seconds: float) -> bool:
        """Sleeps, but no longer than until a signal comes; returns whether one came."""
        return self._event.wait(seconds)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
        self._event.set()


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turns SIGINT and SIGTERM into an `Interrupt` that is polled; restores what was there before."""
    interrupt = Interrupt()
    before = {number: signal.signal(number, interrupt._handle) for number in HANDLED}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_with_parent(grace_seconds: float = 30.0) -> None:
    """Ends this process when its parent does: standard input is the parent's pipe and closes with it.

    Works where the parent had no chance to say goodbye (`kill -9`). First like SIGTERM; a process that
    has not left after the grace period is ended.
    """

    def watch() -> None:
        # Not through sys.stdin: a thread inside its buffer aborts the interpreter's shutdown.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(grace_seconds)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
