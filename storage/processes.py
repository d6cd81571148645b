"""Which process a worker is, and whether one on this machine is gone.

A pid alone says nothing: a container has pids of its own, a machine that was started again has them
anew, and a long night uses one twice.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process, and where its pid means something.

    Attributes:
        machine: host name, boot and pid namespace: only where all three agree can one process tell
            that another is gone. A container has a pid namespace of its own.
        started: the process' start by the kernel's clock; tells it from a later one with its pid.
    """

    host: str
    machine: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> "Process":
        host = socket.gethostname()
        return cls(host=host, machine=_machine(host), pid=os.getpid(), started=_start_of(os.getpid()) or "")

    def sees_gone(self, machine: str, pid: int, started: str) -> bool:
        """Whether that process certainly no longer runs; False where this one cannot tell."""
        return machine == self.machine and _start_of(pid) != (started or None)


def _machine(host: str) -> str:
    """Host name, boot and pid namespace; where the latter two cannot be read, nothing is comparable."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return f"{host}:{os.getpid()}:unknown"
    return f"{host}:{boot}:{namespace}"


def _start_of(pid: int) -> str | None:
    """When the kernel started process `pid`, in clock ticks since boot; None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces: fields are counted from the last parenthesis.
    fields = stat.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return None if state in "ZX" else start
