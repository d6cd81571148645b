"""First signal: finish the batch, give the trial back, leave. Second signal: now."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM)
LOOK_SECONDS = 0.05  # between two looks for a signal


class Interrupt:
    """Whether a signal came, and which; `code` is the exit code it asks for (130, 143).

    The handler only notes the signal. It runs in the middle of whatever the main thread does, and would
    wait for ever on a lock that is held there, the one inside a threading.Event for instance.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def code(self) -> int:
        return 128 + (self.signal or 0)

    def wait(self, seconds: float) -> bool:
        """Sleeps, but no longer than until a signal comes; returns whether one came."""
        end = time.monotonic() + seconds
        while not self and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
        return bool(self)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number


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
