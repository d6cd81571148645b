"""How many threads a worker computes with on a CPU, and how many workers a machine without a GPU is for."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from search.errors import UserError

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")

MOST_WORKERS = 8
WORKER_BYTES = 2 * 2**30  # of free memory for each; one of the quick profile takes 0.5 GB
TRIALS_PER_WORKER = 4
"""Sampler and pruner learn from trials that have ended: with more workers most of a small budget would be
sampled blindly."""


def cpu_workers(trials_left: int) -> int:
    """How many CPU workers pay for the rest of a study: one for each core, within three limits.

    Two workers with a thread each train 1.3 times as much as one with two threads: a small model has
    more overhead than work to divide.
    """
    limits = [cores() // threads_each(), MOST_WORKERS, trials_left // TRIALS_PER_WORKER]
    limits += [free // WORKER_BYTES for free in _free_memory()]
    return max(1, min(limits))


def thread_variables(workers: int) -> dict[str, str]:
    """Environment variables for each of `workers` processes that divide this machine's cores.

    OMP_NUM_THREADS stays where it is set: whoever starts containers side by side knows how many there
    are, and no container can see the others.
    """
    given = os.environ.get("OMP_NUM_THREADS", "").strip()
    threads = given or str(max(1, cores() // workers))
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": os.environ.get("MKL_NUM_THREADS", "").strip() or threads,
        # libgomp's threads spin while they wait for each other. Where something else uses the cores as
        # well, an epoch then takes ten times as long. A short spin costs 5 to 10 % on a quiet machine.
        "GOMP_SPINCOUNT": "1000",
        # glibc returns freed memory to the system between two steps and faults it in again page by page,
        # which is 5 % of a small step. Held back: arrays up to 32 MB, and 512 MB free in all.
        "MALLOC_MMAP_THRESHOLD_": os.environ.get("MALLOC_MMAP_THRESHOLD_", str(32 * 2**20)),
        "MALLOC_TRIM_THRESHOLD_": os.environ.get("MALLOC_TRIM_THRESHOLD_", str(512 * 2**20)),
    }


def threads_each() -> int:
    """Threads of one worker: OMP_NUM_THREADS (`4`, or `4,2` for nested teams), 1 where it is not set.

    Raises:
        UserError: it holds something else.
    """
    text = os.environ.get("OMP_NUM_THREADS", "").strip()
    if text and not re.fullmatch(r"[1-9][0-9]{0,3}(,[0-9,]*)?", text):
        raise UserError(f"OMP_NUM_THREADS: {text[:40]!r} is not a number of threads; write 4, or omit it")
    return int(text.partition(",")[0] or 1)


def cores() -> int:
    """Cores that this process may use: its affinity, or a container's share where that is less."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2, or no limit: "max"
        return count


def _free_memory() -> Iterator[int]:
    """Bytes that are free on this machine, and in this container; what cannot be read is left out."""
    with suppress(OSError, StopIteration, ValueError):
        line = next(line for line in MEMINFO.read_text().splitlines() if line.startswith("MemAvailable:"))
        yield int(line.split()[1]) * 1024
    with suppress(OSError, ValueError):  # "max" where there is no limit
        limit = int((CGROUP / "memory.max").read_text())
        yield limit - int((CGROUP / "memory.current").read_text())
