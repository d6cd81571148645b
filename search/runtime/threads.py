"""How many threads a worker computes with on a CPU."""

import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def thread_variables(workers: int) -> dict[str, str]:
    """Variables for each of `workers` processes that divide this machine's cores among them.

    OMP_NUM_THREADS, where it is set, stays: whoever starts containers side by side knows how many, and
    none of them can see the others.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    threads = given or str(max(1, cores() // workers))
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": os.environ.get("MKL_NUM_THREADS") or threads,
        # libgomp's threads spin while they wait for each other; where something else wants the cores, too,
        # an epoch then takes ten times as long. A short spin costs 5 to 10 % on a quiet machine.
        "GOMP_SPINCOUNT": "1000",
    }


def cores() -> int:
    """Cores that this process may use: its affinity, or a container's share where that is less."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    try:
        quota, period = CPU_MAX.read_text().split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2, or no limit: "max"
        return count
