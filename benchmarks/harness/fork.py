"""Processes forked from one that has imported everything, so that what is measured or killed is at work."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def fork(work: Callable[[], int], log: Path) -> int:
    """Runs `work` in a process of its own, whose output is appended to the file `log`; returns its pid.

    Its exit code is what `work` returns or exits with, 70 after any other exception.
    """
    pid = os.fork()
    if pid:
        return pid
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 70
    try:
        code = work()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
