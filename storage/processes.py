"""Which process a worker is, and whether a process of this machine is gone.

A pid alone identifies nothing: containers have pids of their own, pids start again when a machine does, and
in a long night one is used twice.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process, and where its pid is valid.

    Attributes:
        machine: host name, boot and pid namespace. Only where all three are equal can one process see that
            another is gone. A container has a pid namespace of its own.
        started: when the kernel started it, which distinguishes it from a later process with its pid.
    """

    host: str
    machine: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> "Process":
        host = socket.gethostname()
        _, started = _stat(os.getpid()) or ("", "")
        return cls(host=host, machine=_machine(host), pid=os.getpid(), started=started)

    def sees_gone(self, machine: str, pid: int, started: str) -> bool:
        """Whether that process certainly no longer runs; False where this one cannot know."""
        if machine != self.machine:
            return False
        stat = _stat(pid)
        if stat is None:
            return not _exists(pid)
        return stat[0] in "ZX" or stat[1] != started


def _machine(host: str) -> str:
    """Host name, boot and pid namespace; where these cannot be read, a name that no other process has."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return f"{host}:{os.getpid()}:unknown"
    return f"{host}:{boot}:{namespace}"


def _stat(pid: int) -> tuple[str, str] | None:
    """A process' state, and its start in clock ticks since boot; None without an entry in /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces, so fields are counted from the last parenthesis.
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[19]


def _exists(pid: int) -> bool:
    """Whether there is such a process: a /proc mounted with hidepid hides those of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
