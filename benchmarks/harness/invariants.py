"""What must hold of a study after a storm, checked by raw SQL and against the objective's own log."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import sqlalchemy
from sqlalchemy import text
from sqlalchemy.pool import NullPool

BUDGET = text("""
    SELECT (SELECT trials FROM search_studies WHERE study_id = 1) AS budget,
           (SELECT count(*) FROM search_leases WHERE study_id = 1) AS claimed,
           count(*) AS trials,
           sum(CASE WHEN t.state = 'COMPLETE' THEN 1 ELSE 0 END) AS complete,
           sum(CASE WHEN t.state = 'PRUNED' THEN 1 ELSE 0 END) AS pruned,
           sum(CASE WHEN t.state = 'FAIL' THEN 1 ELSE 0 END) AS failed,
           sum(CASE WHEN t.state = 'RUNNING' THEN 1 ELSE 0 END) AS running,
           sum(CASE WHEN l.finished_at IS NULL THEN l.epochs ELSE :epochs END) AS epochs
    FROM trials t LEFT JOIN search_leases l ON l.trial_id = t.trial_id
""")
"""One statement, so that all of it is one snapshot, which must add up."""

CURVES = text("""
    SELECT t.number, t.state, count(i.step) AS reports, count(DISTINCT i.step) AS distinct_steps,
           min(i.step) AS first, max(i.step) AS last, l.slot, l.attempt, l.finished_at
    FROM trials t
    LEFT JOIN search_leases l ON l.trial_id = t.trial_id
    LEFT JOIN trial_intermediate_values i ON i.trial_id = t.trial_id
    GROUP BY t.number, t.state, l.slot, l.attempt, l.finished_at ORDER BY t.number
""")

SCORES = text("""
    SELECT count(*) FROM trial_intermediate_values i
    JOIN trial_params p ON p.trial_id = i.trial_id AND p.param_name = 'x'
    WHERE abs(i.intermediate_value - (1 - abs(p.param_value - 0.3)) * (1 - power(0.5, i.step / 2.0))) > 1e-9
""")
"""Reports that are not the score of their trial's parameters at their epoch; see sleeping_objective.py."""

TAKEOVERS = text("""
    SELECT o.taken_at - o.left_at FROM search_takeovers o JOIN trials t ON t.trial_id = o.trial_id
    WHERE t.number = :number ORDER BY o.attempt
""")


@dataclass(frozen=True, slots=True)
class Budget:
    """The slots of a study at one instant."""

    budget: int
    claimed: int
    trials: int
    complete: int
    pruned: int
    failed: int
    running: int
    epochs: int

    @property
    def adds_up(self) -> bool:
        ended = self.complete + self.pruned + self.failed
        return self.claimed == self.trials == ended + self.running <= self.budget

    @property
    def used_up(self) -> bool:
        return self.trials == self.budget and self.running == 0


class Auditor:
    """Reads the only study in the database at `url`, without the service's own code."""

    def __init__(self, url: str, epochs: int) -> None:
        parsed = sqlalchemy.make_url(url)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self._engine = sqlalchemy.create_engine(parsed, poolclass=NullPool)
        self._epochs = epochs

    def budget(self) -> Budget | None:
        """None while the database is away."""
        try:
            with self._engine.connect() as connection:
                row = connection.execute(BUDGET, {"epochs": self._epochs}).one()
        except sqlalchemy.exc.OperationalError:
            return None
        return Budget(*(int(value or 0) for value in row))

    def faults(self) -> Iterator[str]:
        """What is wrong with the trials of a study that has ended, a sentence each."""
        with self._engine.connect() as connection:
            rows = connection.execute(CURVES).all()
            wrong_scores = connection.scalar(SCORES)
        if [row.number for row in rows] != list(range(len(rows))):
            yield "the trials are not numbered one after another"
        if sorted(row.slot for row in rows) != list(range(len(rows))):
            yield "the slots are not used once each"
        for row in rows:
            name = f"trial {row.number} ({row.state.lower()})"
            if row.state not in ("COMPLETE", "PRUNED", "FAIL") or row.finished_at is None:
                yield f"{name} hangs"
            if row.reports != row.distinct_steps:
                yield f"{name} has an epoch twice"
            if row.reports and (row.first, row.last) != (1, row.reports):
                yield f"{name} has a hole in its curve: {row.reports} reports up to epoch {row.last}"
            if row.state == "COMPLETE" and row.last != self._epochs:
                yield f"{name} ends at epoch {row.last} of {self._epochs}"
        if wrong_scores:
            yield f"{wrong_scores} reports are not their trial's scores"

    def silences(self, number: int) -> list[float]:
        """At each take-over of a trial, the seconds since its owner had last been heard of."""
        with self._engine.connect() as connection:
            return list(connection.scalars(TAKEOVERS, {"number": number}))

    def owners(self) -> tuple[int, int]:
        """How many trials changed hands, and how often all of them together."""
        with self._engine.connect() as connection:
            attempts = [row.attempt for row in connection.execute(CURVES)]
        return sum(attempt > 1 for attempt in attempts), sum(attempt - 1 for attempt in attempts)


@dataclass(frozen=True, slots=True)
class Repeat:
    """An epoch that began twice: which workers began it, and which of them had been disturbed before."""

    trial: int
    epoch: int
    before: str
    after: str
    causes: Sequence[str]

    def __str__(self) -> str:
        return f"trial {self.trial} epoch {self.epoch} by {self.before}, then {self.after}"

    @property
    def far(self) -> bool:
        """Whether the trial went to another host, which has only the files in the store."""
        return self.before.split("-")[0] != self.after.split("-")[0]


def repeats(log: Path, disturbed: Mapping[str, float]) -> list[Repeat]:
    """Epochs that began more than once, by the objective's own log.

    Of two workers that begin the same epoch, one must have been disturbed before (`disturbed`: when): the
    first was killed, or the second was taken for dead while it was stopped or cut off.
    """
    beginnings: dict[tuple[int, int], list[tuple[str, float]]] = {}
    for line in log.read_text().splitlines():
        worker, trial, epoch, when = line.split()
        beginnings.setdefault((int(trial), int(epoch)), []).append((worker, float(when)))
    repeated = []
    for (trial, epoch), workers in beginnings.items():
        for (before, _), (after, when) in pairwise(workers):
            causes = [worker for worker in (before, after) if disturbed.get(worker, when) < when]
            repeated.append(Repeat(trial, epoch, before, after, causes))
    return repeated
