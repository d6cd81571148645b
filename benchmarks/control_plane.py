"""What the service itself costs a trial, beside stock Optuna in the same run, on PostgreSQL.

    python benchmarks/control_plane.py

Both have the same trials in databases of one server: finished ones (half complete after 150 epochs, half
pruned after 30), and running ones that report an epoch each between two measured calls, as they would.
Stock is RDBStorage with MedianPruner and the default TPESampler. Calls alternate. A figure is the median
with the 10th and 90th percentile, in milliseconds of wall time and of this process' CPU time.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from harness.hosts import Server
from optuna.distributions import distribution_to_json
from sqlalchemy import Engine, insert, select

from search.objective import EpochResult
from search.pruners.registry import build_pruner
from search.samplers.ask import ask
from search.spec.spec import Spec, load_spec, stock_space
from search.study.create import create_study
from search.study.open import open_study
from storage import clock, tables
from storage import engine as engines
from storage.claims import Lease
from storage.clock import now
from storage.leases import Leases, Status
from storage.processes import Process
from storage.url import parse

EPOCHS, PRUNED = 150, 30
STUDY = "bench"


def curve(dice: random.Random, epochs: int) -> list[float]:
    quality = dice.uniform(0.5, 0.7)
    return [quality * (1 - exp(-epoch / 20)) + dice.gauss(0, 0.005) for epoch in range(1, epochs + 1)]


# -- the same trials in both databases ---------------------------------------------------------------


class Population:
    """Trials of study 1 in a database, written row by row: Optuna would take minutes."""

    def __init__(self, engine: Engine, spec: Spec, leased: bool) -> None:
        self._engine = engine
        self._spec = spec
        self._leased = leased
        self._running: dict[int, int] = {}
        self._dice = random.Random(0)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._memory = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def add(self, finished: int, running: int) -> None:
        """Brings the study to so many finished and running trials."""
        with self._engine.begin() as connection:
            there = len(connection.execute(select(tables.trials.c.trial_id)).all())
            done = there - len(self._running)
            states = [("COMPLETE", "PRUNED")[n % 2] for n in range(finished - done)]
            states += ["RUNNING"] * (running - len(self._running))
            for number, state in enumerate(states, start=there):
                self._add_one(connection, number, state)

    def _add_one(self, connection: Any, number: int, state: str) -> None:
        created = connection.execute(
            insert(tables.trials).values(study_id=1, number=number, state=state, datetime_start=clock.utc())
        )
        trial_id = created.inserted_primary_key[0]
        epochs = {"COMPLETE": EPOCHS, "PRUNED": PRUNED}.get(state) or self._dice.randint(1, EPOCHS // 2)
        scores = curve(self._dice, epochs)
        trial = self._memory.ask()
        self._spec.space.suggest(trial)
        connection.execute(
            insert(tables.params),
            [
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": distribution.to_internal_repr(trial.params[name]),
                    "distribution_json": distribution_to_json(distribution),
                }
                for name, distribution in trial.distributions.items()
            ],
        )
        connection.execute(
            insert(tables.intermediates), [self._point(trial_id, *s) for s in enumerate(scores, 1)]
        )
        if state == "RUNNING":
            self._running[trial_id] = epochs
        else:
            connection.execute(
                insert(tables.values).values(
                    trial_id=trial_id, objective=0, value=scores[-1], value_type="FINITE"
                )
            )
        if self._leased:
            connection.execute(
                insert(tables.leases).values(
                    trial_id=trial_id, study_id=1, slot=number, owner="other", attempt=1, deaths=0,
                    epochs=epochs, horizon=EPOCHS, renewed_at=now() + 1e6, started_at=now(),
                    finished_at=None if state == "RUNNING" else now(),
                )
            )  # fmt: skip

    def report(self) -> None:
        """Every running trial reports its next epoch."""
        rows = []
        for trial_id, epoch in self._running.items():
            self._running[trial_id] = epoch + 1
            rows.append(self._point(trial_id, epoch + 1, self._dice.uniform(0.4, 0.6)))
        with self._engine.begin() as connection:
            connection.execute(insert(tables.intermediates), rows)

    @staticmethod
    def _point(trial_id: int, step: int, score: float) -> dict[str, Any]:
        return {
            "trial_id": trial_id,
            "step": step,
            "intermediate_value": score,
            "intermediate_value_type": "FINITE",
        }


# -- the two sides -----------------------------------------------------------------------------------


class Ours:
    """One worker of this service."""

    def __init__(self, url: str, spec: Spec) -> None:
        create_study(url, STUDY, spec, {}, trials=100_000)
        self.study = open_study(url, STUDY)
        self.leases = Leases(self.study.engine, self.study.id, "me", Process.current())
        self.leases.join("cpu")
        self.pruner = build_pruner(spec)
        self.pruner.open(self.study)
        self.population = Population(engines.connect(url), spec, leased=True)

    def ask(self) -> tuple[Lease, dict[str, Any]]:
        lease = self.leases.claim()
        assert isinstance(lease, Lease), lease
        task = ask(self.study, self.leases, lease)
        assert task is not None
        return lease, dict(task.params)

    def report(self, asked: tuple[Lease, dict[str, Any]], epoch: int, score: float) -> None:
        """Report and decision."""
        lease, params = asked
        assert self.leases.report(lease, epoch, EPOCHS, score)
        self.pruner.decide(
            lease, params, EpochResult(epoch=epoch, epochs=EPOCHS, score=score), reachable=True
        )

    def tell(self, asked: tuple[Lease, dict[str, Any]]) -> None:
        self.leases.renew(asked[0])
        assert self.leases.finish(asked[0], "FAIL", None, {})

    def beat(self) -> None:
        self.leases.beat(Status(state="training"), None)


class Stock:
    """Optuna as it comes."""

    def __init__(self, url: str, spec: Spec) -> None:
        self.spec = spec
        url = parse(url).render_as_string(hide_password=False)
        self.study = optuna.create_study(
            study_name=STUDY, storage=url, direction="maximize", pruner=optuna.pruners.MedianPruner()
        )
        self.population = Population(engines.connect(url), spec, leased=False)

    def ask(self) -> optuna.Trial:
        trial = self.study.ask()
        self.spec.space.suggest(trial)
        return trial

    def report(self, trial: optuna.Trial, epoch: int, score: float) -> None:
        trial.report(score, epoch)
        trial.should_prune()

    def tell(self, trial: optuna.Trial) -> None:
        self.study.tell(trial, state=optuna.trial.TrialState.FAIL)


# -- measuring ---------------------------------------------------------------------------------------


@dataclass
class Times:
    """Milliseconds of one kind of call."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @contextmanager
    def measured(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu.append((time.process_time() - cpu) * 1000)
        self.wall.append((time.perf_counter() - wall) * 1000)

    def __str__(self) -> str:
        return f"{spread(self.wall):>26} {spread(self.cpu):>26}"


def spread(values: Sequence[float]) -> str:
    low, middle, high = np.percentile(values, [10, 50, 90])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def decisions(sides: Sequence[Any], rounds: int) -> list[Times]:
    """Report and decision, in turn, all running trials having reported an epoch in between."""
    trials = [side.ask() for side in sides]
    dice, times = random.Random(1), [Times() for _ in sides]
    for epoch in range(1, rounds + 4):
        for side, trial, taken in zip(sides, trials, times, strict=True):
            side.population.report()
            with taken.measured() if epoch > 3 else Times().measured():  # the first ones read everything
                side.report(trial, epoch, dice.uniform(0.5, 0.6))
    for side, trial in zip(sides, trials, strict=True):
        side.tell(trial)
    return times


def asks(sides: Sequence[Any], rounds: int) -> list[Times]:
    """Claim, ask and all suggests, in turn."""
    times = [Times() for _ in sides]
    for number in range(rounds + 1):
        for side, taken in zip(sides, times, strict=True):
            side.population.report()
            with taken.measured() if number else Times().measured():
                trial = side.ask()
            side.tell(trial)
    return times


def whole_trial(side: Ours) -> Times:
    """Claim to end of a trial of 150 epochs, with a sign of life every tenth epoch."""
    times = Times()
    with times.measured():
        trial = side.ask()
        for epoch in range(1, EPOCHS + 1):
            side.report(trial, epoch, 0.6)
            if epoch % 10 == 0:
                side.beat()
        side.tell(trial)
    return times


def measure(url: Callable[[str], str], spec: Spec, rounds: int) -> None:
    ours, stock = Ours(url("ours"), spec), Stock(url("stock"), spec)
    print(f"{'ms: median (10 % to 90 %)':<44}{'wall':>26} {'CPU':>26}")
    medians: dict[int, float] = {}
    for running in (16, 64, 256):
        for side in (ours, stock):
            side.population.add(finished=300, running=running)
        found = decisions((ours, stock), rounds)
        medians[running] = float(np.median(found[0].cpu))
        for name, times in zip(("ours", "stock"), found, strict=True):
            print(f"{f'report + decision, {running} running, {name}':<44}{times}", flush=True)
        print(f"{'':<44}CPU: stock / ours {np.median(found[1].cpu) / medians[running]:.0f}")
        if running == 64:
            found = asks((ours, stock), max(5, rounds // 5))
            for name, times in zip(("ours", "stock"), found, strict=True):
                print(f"{f'claim + ask + suggest, {running} running, {name}':<44}{times}", flush=True)
    print(f"exponent of ours in running trials, 16 to 256: {log(medians[256] / medians[16]) / log(16):.2f}")

    side = Ours(url("many"), spec)
    side.population.add(finished=2000, running=0)
    for name in ("new worker", "next", "next"):
        print(f"{f'150 epochs, 2000 finished, {name}':<44}{whole_trial(side)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50, help="measured decisions a line")
    options = parser.parse_args()
    spec = load_spec(stock_space(), overrides=[f"trainer.epochs={EPOCHS}", "study.trials=1000"])
    with tempfile.TemporaryDirectory(prefix="bench") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        server = Server(folder / "pg")
        try:
            measure(server.database, spec, options.rounds)
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
