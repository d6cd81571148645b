"""First signal: finish the batch, give the trial back, leave. Second signal: exit now.

SIGTERM stops containers and jobs, SIGUSR1 is Slurm's warning that the time limit is near, SIGHUP comes when
an ssh session is closed, SIGINT is Ctrl-C. The first three end a worker with 143, the last with 130.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
LIKE_SIGTERM = (signal.SIGUSR1, signal.SIGHUP)
LOOK_SECONDS = 0.05  # between two checks for a signal


class Interrupted(BaseException):
    """A signal came in an `at_once` block. A BaseException, so that no `except Exception` catches it."""


class Interrupt:
    """Whether a signal came, and which; `code` is the exit code it asks for (130, 143).

    The handler only notes the signal. It runs in the middle of whatever the main thread is doing, and would
    deadlock on a lock that thread holds, such as the one inside a threading.Event. Only in an `at_once`
    block, where nothing is held yet, does it raise.
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
        """A signal raises Interrupted in this block: during imports, reading data, waiting."""
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
    """128 plus the signal's number; Slurm's warning and a hang-up count as SIGTERM."""
    return 128 + (signal.SIGTERM if number in LIKE_SIGTERM else number)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turns signals into an `Interrupt` to poll; restores the previous handlers.

    A signal in an `at_once` block ends this block without an error.
    """
    interrupt = Interrupt()
    # What is ignored stays ignored: nohup ignores SIGHUP.
    numbers = [number for number in HANDLED if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt._handle) for number in numbers}
    try:
        yield interrupt
    except Interrupted:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_with_parent(interrupt: Interrupt, grace_seconds: float = 30.0) -> None:
    """Obeys the parent process through standard input, which is its pipe.

    A byte is the number of a signal that the parent passes on. It is ignored where the process already has
    a signal: batch systems signal parent and child alike, and a second signal would mean `now`. The pipe
    closes when the parent is gone, even after `kill -9`. The process then leaves: at once if it had been
    signalled before, otherwise as after SIGTERM, within the grace period.
    """

    def watch() -> None:
        # Not through sys.stdin: a thread inside its buffer aborts the interpreter's shutdown.
        while byte := os.read(0, 1):
            if not interrupt:
                os.kill(os.getpid(), byte[0])
        if interrupt:
            os._exit(interrupt.code)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(grace_seconds)
        os._exit(exit_code(signal.SIGTERM))

    threading.Thread(target=watch, name="parent", daemon=True).start()


def pass_on(number: int, pipe: int) -> None:
    """Passes a signal on to the process whose `leave_with_parent` reads `pipe`."""
    with suppress(OSError):  # it has left already
        os.write(pipe, bytes([number]))
