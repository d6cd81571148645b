"""First signal: finish the batch, give the trial back, leave. Second signal: now.

SIGTERM comes from whoever stops containers and jobs, SIGUSR1 is Slurm's warning that the time is nearly up,
SIGINT is Ctrl-C. The first two end a worker with 143, the last with 130.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
LOOK_SECONDS = 0.05  # between two looks for a signal


class Interrupted(BaseException):
    """A signal came where one is obeyed at once. No Exception: nothing on the way may take it for one."""


class Interrupt:
    """Whether a signal came, and which; `code` is the exit code it asks for (130, 143).

    The handler only notes the signal. It runs in the middle of whatever the main thread does, and would
    wait for ever on a lock that is held there, the one inside a threading.Event for instance. Only where
    nothing is held yet does it end what goes on (`at_once`).
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._at_once = False

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def code(self) -> int:
        return exit_code(self.signal or 0)

    def wait(self, seconds: float) -> bool:
        """Sleeps, but no longer than until a signal comes; returns whether one came."""
        end = time.monotonic() + seconds
        while not self and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
        return bool(self)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, a signal raises Interrupted: while importing, reading data, waiting for the database."""
        self._at_once = True
        try:
            if self:
                raise Interrupted
            yield
        finally:
            self._at_once = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(exit_code(number))
        self.signal = number
        if self._at_once:
            raise Interrupted


def exit_code(number: int) -> int:
    """128 and the signal's number; a warning of SIGTERM ends like SIGTERM."""
    return 128 + (signal.SIGTERM if number == signal.SIGUSR1 else number)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turns signals into an `Interrupt` that is polled; restores what was there before.

    A signal within `at_once` ends the block here, without an error.
    """
    interrupt = Interrupt()
    before = {number: signal.signal(number, interrupt._handle) for number in HANDLED}
    try:
        yield interrupt
    except Interrupted:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_with_parent(interrupt: Interrupt, grace_seconds: float = 30.0) -> None:
    """Obeys the parent process through standard input, which is its pipe.

    A byte is the number of a signal that the parent passes on. It counts once: batch systems signal parent
    and child alike, and a second signal means `now`. The pipe closes when the parent is gone, also where
    that had no chance to say goodbye (`kill -9`): a process that was asked before leaves at once, another
    as after SIGTERM, within the grace period.
    """

    def watch() -> None:
        # Not through sys.stdin: a thread inside its buffer aborts the interpreter's shutdown.
        while said := os.read(0, 1):
            if not interrupt:
                os.kill(os.getpid(), said[0])
        if interrupt:
            os._exit(interrupt.code)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(grace_seconds)
        os._exit(exit_code(signal.SIGTERM))

    threading.Thread(target=watch, name="parent", daemon=True).start()


def pass_on(number: int, pipe: int) -> None:
    """Tells the process that reads `pipe` by `leave_with_parent` of a signal."""
    with suppress(OSError):  # it has left already
        os.write(pipe, bytes([number]))
