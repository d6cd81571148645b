"""Studies of the toy objective: in stages, and disturbed."""

import toy
from service import Search
from sqlalchemy import update

from search.records import Record
from search.study.study import Study
from storage import clock, tables


def staged_document(*stages: str, epochs: int, **constants: object) -> str:
    """A space.yaml of a search in stages; it draws `x`, and its known config is far from the best."""
    lines = [f"    - {stage}" for stage in stages]
    settings = [f"  {name}: {value}" for name, value in {"epochs": epochs, **constants}.items()]
    return "\n".join([STAGED, *lines, "space:", "  x: {low: 0.0, high: 1.0}", *settings, KNOWN])


STAGED = """\
objective: toy
study:
  smooth: 1
  sampler: {kind: random, seed: 7}
  pruner: {kind: none}
  stages:"""
KNOWN = """\
known:
  - {name: by hand, x: 0.9}
"""


def steal(study: Study) -> None:
    """Somebody else has taken every running trial over, and lives."""
    with study.engine.begin() as connection:
        connection.execute(
            update(tables.leases)
            .where(tables.leases.c.finished_at.is_(None))
            .values(owner="thief", attempt=tables.leases.c.attempt + 1, renewed_at=clock.now() + 3600)
        )


def pauses(seconds: float, epochs: int) -> list[str]:
    """Flags for trials that last long enough to be disturbed."""
    return ["--set", f"seconds={seconds}", "--set", f"epochs={epochs}"]


def uninterrupted(search: Search, trials: int, epochs: int) -> None:
    """Whether the search ended as if nothing had happened: no trial given up, no epoch trained twice."""
    records = search.finished(trials, epochs=epochs)
    assert {record.attempts for record in records} == {1}
    assert all(right(record) for record in records)
    assert set(search.trained().values()) == {1}, "an epoch was trained again"


def right(record: Record) -> bool:
    """Whether the curve is what this trial's params give."""
    epochs = range(1, len(record.curve) + 1)
    return record.curve == [toy.score(record.params, epoch) for epoch in epochs]
