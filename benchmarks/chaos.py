"""Chaos testing of a search: workers are killed, frozen and terminated, the database comes and goes.

    python benchmarks/chaos.py --seed 1                        # PostgreSQL, 16 workers on two hosts; root
    python benchmarks/chaos.py --seed 1 --database sqlite      # 8 workers on one host

The hosts have their own namespaces, `runs` folder and network cable (`harness/hosts.py`), and share an
artifact store. Each event happens when the search reaches a share of its epochs that is drawn from the
seed, so that a slow machine sees the same storm; a few of the kills fall into the outages. A worker that
was killed or has left is replaced at once.

Afterwards the database is read by raw SQL (`harness/invariants.py`) and the counts are printed. Exit code
1: a promise is broken.
"""

import argparse
import math
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.hosts import Host, Server
from harness.invariants import Auditor, Budget, Repeat, repeats
from harness.sleeping_objective import SPACE

from search.launcher.creation import StartOptions, open_or_create

STUDY = "chaos"
POLL_SECONDS = 0.1
OUTAGE_SECONDS = 20.0
KILLS_PER_OUTAGE = 3
GRACE_SECONDS = 30.0  # in which a worker that was asked to leave has left: what a supervisor gives it
STORM = {  # the counts on PostgreSQL, and on SQLite
    "kill": (100, 100),
    "term": (20, 20),
    "stop": (10, 10),
    "restart": (10, 0),
    "outage": (3, 0),
    "cut": (2, 0),
}
WORDS = {
    "kill": "kill -9",
    "term": "SIGTERM",
    "stop": "SIGSTOP then SIGCONT",
    "restart": "pg_ctl restart -m immediate",
    "outage": "outages of the database",
    "cut": "cut cables",
}


@dataclass
class Life:
    """One worker process, and what was done to it.

    Attributes:
        place: of the workers that replace each other there.
        hits: what was done to it, in order.
        since: when it was first disturbed.
        asked: when it was asked to leave.
    """

    host: Host
    place: int
    hits: list[str] = field(default_factory=list)
    since: float = math.inf
    asked: float | None = None
    stopped: bool = False
    code: int | None = None


class Storm:
    """One search, and what is done to it."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.dice = random.Random(options.seed)
        self.folder = folder
        self.log = folder / "epochs.log"
        self.log.touch()
        environment = {"SEARCH_LEASE_SECONDS": str(options.lease), "EPOCH_LOG": str(self.log)}
        names = ("alpha", "beta")[: options.hosts]
        if len(names) > 1:  # what the hosts share besides the database
            environment["SEARCH_ARTIFACTS"] = str(folder / "artifacts")
        self.hosts = [Host(name, folder, environment, isolated=len(names) > 1) for name in names]
        self.server: Server | None = None
        if options.database == "postgresql":
            self.server = Server(folder / "pg", [host.address for host in self.hosts if host.address])
        self.url = self.server.database(STUDY) if self.server else f"sqlite:///{folder / 'study.db'}"
        self.auditor = Auditor(self.url, options.epochs)
        self.lives: dict[str, Life] = {}
        self.unreachable: set[str] = set()  # from these hosts the database is away
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.happened: Counter[str] = Counter()
        self.polls = self.unanswered = self.refused = 0
        self.slowest = 0.0
        self.faults: list[str] = []

    def run(self) -> None:
        """Create the study and work on it until all workers have left by themselves."""
        o = self.options
        space = self.folder / "space.yaml"
        space.write_text(SPACE.format(trials=o.trials, seed=o.seed, epochs=o.epochs, seconds=o.seconds))
        open_or_create(
            StartOptions(study=STUDY, url=self.url, runs=self.hosts[0].runs, data=None, space=space)
        )
        for place in range(o.workers):
            self._start(self.hosts[place % len(self.hosts)], place)
        plan = self._plan()
        deadline = time.monotonic() + o.patience
        while any(life.code is None for life in self.lives.values()) or self.timers:
            if time.monotonic() > deadline:
                self.faults.append(f"not done after {o.patience:.0f} s")
                return
            self._look_after_workers()
            self._run_timers()
            share = self._poll()
            while plan and plan[0][0] <= share and not self.database_away:
                self._do(plan.pop(0)[1])
            time.sleep(POLL_SECONDS)
        if plan:
            self.faults.append(f"{len(plan)} events of the storm did not happen")

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        if self.server is not None and not self.database_away:
            self.server.stop()

    @property
    def database_away(self) -> bool:
        return len(self.unreachable) == len(self.hosts)

    def _plan(self) -> list[tuple[float, str]]:
        """The events and when they happen, as ascending shares of the search's epochs."""
        counts = {kind: getattr(self.options, f"{kind}s") for kind in STORM}
        counts["kill"] -= KILLS_PER_OUTAGE * counts["outage"]
        return sorted((self.dice.uniform(0.02, 0.9), kind) for kind in STORM for _ in range(counts[kind]))

    def _poll(self) -> float:
        """The share of its epochs that the search has reached; the counts must add up at every poll."""
        self.polls += 1
        found = self.auditor.budget()
        if found is None:
            self.unanswered += 1
            return -1.0
        if not found.adds_up:
            self.faults.append(f"the budget does not add up: {found}")
        return found.epochs / (self.options.trials * self.options.epochs)

    def _run_timers(self) -> None:
        due = [timer for timer in self.timers if timer[0] <= time.monotonic()]
        for timer in due:
            self.timers.remove(timer)
            timer[1]()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self.timers.append((time.monotonic() + seconds, action))

    # -- workers ---------------------------------------------------------------------------------

    def _start(self, host: Host, place: int) -> None:
        name = f"{host.name}-{place}.{sum(life.place == place for life in self.lives.values())}"
        self.lives[name] = Life(host, place)
        url = f"postgresql://postgres@{host.address}/{STUDY}" if host.address else self.url
        host.start(name, url, STUDY)

    def _look_after_workers(self) -> None:
        for host in self.hosts:
            for name, code in host.ended_workers():
                life = self.lives[name]
                life.code = code
                self._check_exit(name, life)
                if code != 0:  # 0: the budget is used up
                    pause = 1.0 if code == 2 else 0.0
                    self._later(pause, lambda life=life: self._start(life.host, life.place))

    def _check_exit(self, name: str, life: Life) -> None:
        """Record a fault unless the worker was killed, was asked to leave, or used up the budget."""
        if life.asked is not None:
            self.slowest = max(self.slowest, time.monotonic() - life.asked)
        if life.code == 0 or (life.code == -signal.SIGKILL and "kill" in life.hits):
            return
        if life.code == 128 + signal.SIGTERM and life.asked is not None:
            return
        lines = life.host.log(name).read_text().splitlines()
        if life.code == 2 and all(line.startswith("storage:") for line in lines):
            self.refused += 1  # it had not joined yet; who starts it tries again
        else:
            self.faults.append(
                f"worker {name} ended with {life.code}: {lines[-1] if lines else 'no output'}"
            )

    def _victim(self) -> tuple[str, Life] | None:
        """A worker to hit: it has begun an epoch, and is not stopped, killed or on its way out."""
        begun = {line.split()[0] for line in self.log.read_text().splitlines()}
        candidates = [
            name
            for name, life in self.lives.items()
            if name in begun
            and life.code is None
            and not life.stopped
            and life.hits[-1:] not in (["kill"], ["term"])
        ]
        if not candidates:
            return None
        name = self.dice.choice(candidates)
        return name, self.lives[name]

    # -- the storm -------------------------------------------------------------------------------

    def _do(self, kind: str) -> None:
        action = getattr(self, f"_{kind}")
        if action():
            self.happened[kind] += 1
        else:  # no worker to hit just now
            self._later(0.5, lambda: self._do(kind))

    def _hit(self, kind: str, number: signal.Signals) -> tuple[str, Life] | None:
        if (found := self._victim()) is None:
            return None
        name, life = found
        life.hits.append(kind)
        life.since = min(life.since, time.time())
        life.host.signal(name, number)
        return found

    def _kill(self) -> bool:
        return self._hit("kill", signal.SIGKILL) is not None

    def _term(self) -> bool:
        if (found := self._hit("term", signal.SIGTERM)) is None:
            return False
        found[1].asked = time.monotonic()
        return True

    def _stop(self) -> bool:
        """Frozen for longer than its lease: it is taken for dead, and then wakes up."""
        if (found := self._hit("stop", signal.SIGSTOP)) is None:
            return False
        name, life = found
        life.stopped = True

        def wake() -> None:
            life.stopped = False
            life.host.signal(name, signal.SIGCONT)

        self._later(2 * self.options.lease, wake)
        return True

    def _restart(self) -> bool:
        assert self.server is not None
        self.server.restart()
        return True

    def _outage(self) -> bool:
        if self.unreachable:
            return False
        assert self.server is not None
        self.server.stop()
        self.unreachable = {host.name for host in self.hosts}
        for _ in range(KILLS_PER_OUTAGE):
            self._later(self.dice.uniform(0.1, 0.9) * OUTAGE_SECONDS, lambda: self._do("kill"))
        self._later(OUTAGE_SECONDS, self._end_outage)
        return True

    def _end_outage(self) -> None:
        assert self.server is not None
        self.server.start()
        self.unreachable = set()

    def _cut(self) -> bool:
        """One host loses the database; the other takes over its trials."""
        if self.unreachable:
            return False
        host = self.hosts[self.happened["cut"] % len(self.hosts)]
        host.cut()
        self.unreachable = {host.name}
        for life in self.lives.values():
            if life.host is host and life.code is None:
                life.hits.append("cut")
                life.since = min(life.since, time.time())
        self._later(OUTAGE_SECONDS, lambda: self._mend(host))
        return True

    def _mend(self, host: Host) -> None:
        host.mend()
        self.unreachable = set()

    # -- the verdict -----------------------------------------------------------------------------

    def verdict(self) -> list[str]:
        """What is broken, a sentence each; prints the counts."""
        o = self.options
        found = self.auditor.budget() or Budget(*[0] * 8)
        faults = [*self.faults, *self.auditor.faults()]
        if not found.used_up or found.trials != o.trials:
            faults.append(f"the budget of {o.trials} was not used exactly: {found}")
        hit = {name: life.since for name, life in self.lives.items() if life.hits}
        costs: dict[str, defaultdict[str, list[Repeat]]] = {
            where: defaultdict(list) for where in ("same host", "other host", "cut off")
        }
        for repeat in sorted(repeats(self.log, hit), key=lambda repeat: len(repeat.causes)):
            if not repeat.causes or repeat.before == repeat.after:
                silences = " and ".join(f"{each:.1f} s" for each in self.auditor.silences(repeat.trial))
                faults.append(
                    f"repeated though no worker was disturbed: {repeat}; it was taken over after "
                    f"{silences or 'no time'} without a sign of its owner"
                )
                continue
            cut_off = any("cut" in self.lives[name].hits for name in repeat.causes)
            cost = costs["cut off" if cut_off else "other host" if repeat.far else "same host"]
            # Of two that were disturbed (a killed owner; one that was frozen at its first epoch and wakes
            # up in a folder that is gone) it is the one that has cost less so far.
            spared = [len(cost[name]) - len(self.lives[name].hits) for name in repeat.causes]
            cost[repeat.causes[spared.index(min(spared))]].append(repeat)
        for name, repeated in costs["same host"].items():
            if len(repeated) > len(self.lives[name].hits):
                which = "; ".join(map(str, repeated))
                faults.append(f"{name} ({', '.join(self.lives[name].hits)}) cost more than that: {which}")
        for name, life in self.lives.items():
            if "Traceback" in life.host.log(name).read_text():
                faults.append(f"worker {name} has a traceback in its log")
        if self.server is not None and (waits := self.server.log_text().count("deadlock detected")):
            faults.append(f"{waits} deadlocks")
        if self.slowest > GRACE_SECONDS:
            faults.append(f"a worker took {self.slowest:.1f} s to leave")
        self._print(found, costs)
        return faults

    def _print(self, found: Budget, costs: Mapping[str, Mapping[str, list[Repeat]]]) -> None:
        o = self.options
        begun = [tuple(line.split()[1:3]) for line in self.log.read_text().splitlines()]
        again = ", ".join(
            f"{where} {sum(map(len, cost.values()))} (at most {max(map(len, cost.values()), default=0)} "
            f"by one worker)"
            for where, cost in costs.items()
        )
        changed, hands = self.auditor.owners()
        storm = ", ".join(f"{self.happened[kind]} {WORDS[kind]}" for kind in STORM if self.happened[kind])
        for name, text in {
            f"seed {o.seed}": f"{o.database}, {o.workers} workers, {o.hosts} host(s), lease {o.lease:g} s",
            "storm": storm,
            "trials": f"{found.trials} of {found.budget}: {found.complete} complete, "
            f"{found.pruned} pruned, {found.failed} failed, {found.running} running",
            "polls": f"{self.polls}, {self.unanswered} of them while the database was away",
            "owners": f"{changed} trials changed hands, {hands} times",
            "epochs": f"{len(begun)} begun, {len(set(begun))} different; begun again: {again}",
            "workers": f"{len(self.lives)} started, {self.refused} refused; "
            f"the slowest to leave took {self.slowest:.1f} s",
        }.items():
            print(f"{name:<9}{text}")


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add("--seed", type=int, default=1)
    add("--database", choices=["postgresql", "sqlite"], default="postgresql")
    add("--workers", type=int, help="16 on PostgreSQL, 8 on SQLite")
    add("--hosts", type=int, choices=[1, 2], help="2 on PostgreSQL, which needs root; 1 on SQLite")
    add("--trials", type=int, default=200)
    add("--epochs", type=int, default=10, help="of a trial")
    add("--seconds", type=float, default=0.3, help="of an epoch")
    add("--lease", type=float, default=5.0, help="seconds")
    add("--patience", type=float, default=900.0, help="seconds after which the search has failed")
    add("--keep", type=Path, help="an empty folder for everything; by default one that is removed")
    for kind in STORM:
        add(f"--{kind}s", type=int, metavar="N", help=WORDS[kind])
    options = parser.parse_args()
    column = 0 if options.database == "postgresql" else 1
    options.workers = options.workers or (16, 8)[column]
    options.hosts = options.hosts or (2, 1)[column]
    for kind, counts in STORM.items():
        if getattr(options, f"{kind}s") is None:
            setattr(options, f"{kind}s", counts[column] if kind != "cut" or options.hosts == 2 else 0)

    with tempfile.TemporaryDirectory(prefix="chaos") as scratch:
        folder = options.keep or Path(scratch)
        folder.chmod(0o755)  # the server runs as a user of its own
        storm = Storm(options, folder)
        begun = time.monotonic()
        try:
            storm.run()
            faults = storm.verdict()
        finally:
            storm.close()
    for fault in faults:
        print(f"BROKEN   {fault}")
    print(
        f"  {'every promise held' if not faults else 'BROKEN'}, {time.monotonic() - begun:.0f} s",
        flush=True,
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
