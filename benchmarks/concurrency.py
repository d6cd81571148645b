"""Many processes at once: workers that race for a budget, and commands that start on an empty database.

    python benchmarks/concurrency.py claims              # 64 workers, 100 trials of two epochs, ten times
    python benchmarks/concurrency.py starts              # 8 searches and the dashboard on nothing, 20 times

Processes are forked (`harness/fork.py`) and run real code: `claims` a worker's leases, `starts` the
commands. `--database sqlite` uses SQLite in place of PostgreSQL. Exit code 1: a count is wrong, or a
process crashed.
"""

import argparse
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import optuna
from harness.fork import fork
from harness.hosts import Server
from harness.sleeping_objective import SPACE
from sqlalchemy import text

from search.cli.app import main as command
from search.launcher.creation import StartOptions, open_or_create
from search.study.open import open_study
from storage import engine as engines
from storage.claims import Lease
from storage.leases import Leases
from storage.processes import Process

STUDY = "race"
COUNTS = text("""
    SELECT (SELECT count(*) FROM trials), (SELECT count(*) FROM trials WHERE state = 'COMPLETE'),
           (SELECT count(*) FROM search_leases), (SELECT count(DISTINCT slot) FROM search_leases),
           (SELECT count(*) FROM trial_intermediate_values)
""")


def code_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def claims(url: str, folder: Path, workers: int, trials: int) -> str:
    """One race for a budget; returns what went wrong, empty where nothing did."""
    space = folder / "space.yaml"
    space.write_text(SPACE.format(trials=trials, seed=1, epochs=2, seconds=0))
    study, _ = open_or_create(StartOptions(study=STUDY, url=url, runs=folder, data=None, space=space))
    study.engine.dispose()

    def work(name: str) -> int:
        mine = open_study(url, STUDY)
        leases = Leases(mine.engine, mine.id, name, Process.current())
        leases.join("cpu")
        while (lease := leases.claim()) != "spent":
            if not isinstance(lease, Lease):
                time.sleep(0.05)
                continue
            done = all(leases.report(lease, epoch, 2, 0.5) for epoch in (1, 2))
            if not done or not leases.finish(lease, "COMPLETE", 0.5, {}):
                return 1
        return 0

    log = folder / "processes.log"
    pids = [fork(lambda name=f"w{n}": work(name), log) for n in range(workers)]
    codes = [code_of(pid) for pid in pids]
    engine = engines.connect(url)
    with engine.connect() as connection:
        counts = connection.execute(COUNTS).one()
    engine.dispose()
    if any(codes) or tuple(counts) != (trials, trials, trials, trials, 2 * trials):
        return f"exit codes {sorted(set(codes))}, counts {tuple(counts)}; {last_lines(log)}"
    return ""


def starts(url: str, folder: Path, workers: int, trials: int) -> str:
    """One start of all commands on an empty database; returns what went wrong."""
    space = folder / "space.yaml"
    space.write_text(SPACE.format(trials=trials, seed=1, epochs=2, seconds=0))
    about = ["--study", STUDY, "--storage", url, "--runs", str(folder)]
    start = ["start", *about, "--space", str(space), "--workers", "0"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    show = ["dashboard", "--storage", url, "--runs", str(folder), "--port", str(port)]
    log = folder / "processes.log"
    dashboard = fork(lambda: command(show), folder / "dashboard.log")
    codes = [code_of(pid) for pid in [fork(lambda: command(start), log) for _ in range(workers)]]
    time.sleep(0.2)
    ended, status = os.waitpid(dashboard, os.WNOHANG)
    if not ended:
        os.kill(dashboard, signal.SIGKILL)
        os.waitpid(dashboard, 0)
    # It may have found no study yet, which it says in one line; it must not crash.
    fine = not ended or os.waitstatus_to_exitcode(status) == 2
    output = log.read_text() + (folder / "dashboard.log").read_text()
    if any(codes) or not fine or "Traceback" in output:
        return f"exit codes {codes}, the dashboard's {status}; {last_lines(log)}"
    return ""


def last_lines(log: Path) -> str:
    return " / ".join(log.read_text().splitlines()[-2:]) if log.exists() else "no output"


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("kind", choices=["claims", "starts"])
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--processes", type=int, help="64 for claims, 8 for starts")
    parser.add_argument("--times", type=int, help="10 for claims, 20 for starts")
    options = parser.parse_args()
    race, processes, times = {"claims": (claims, 64, 10), "starts": (starts, 8, 20)}[options.kind]
    processes, times = options.processes or processes, options.times or times
    sys.path.append(str(Path(__file__).parent))  # where the objective is
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="race") as scratch:
        Path(scratch).chmod(0o755)
        server = Server(Path(scratch) / "pg") if options.database == "postgresql" else None
        try:
            for number in range(times):
                folder = Path(scratch) / str(number)
                folder.mkdir()
                url = server.database(f"race{number}") if server else f"sqlite:///{folder / 'study.db'}"
                begun = time.monotonic()
                fault = race(url, folder, processes, 100)
                wrong += bool(fault)
                print(f"{number + 1}: {fault or 'right'}, {time.monotonic() - begun:.1f} s", flush=True)
        finally:
            if server:
                server.stop()
    print(f"{options.kind}, {options.database}, {processes} processes: {times - wrong} of {times} right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
