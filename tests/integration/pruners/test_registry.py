"""A pruner: what it reads, and what it decides when the database is away."""

import pytest
import sqlalchemy
from service import Search

from search.objective import EpochResult
from search.pruners.registry import build_pruner
from storage.claims import Lease
from storage.leases import Leases
from storage.processes import Process


@pytest.mark.parametrize("kind", ["median", "none"])
def test_a_pruner_does_not_wait_for_a_database_that_is_away(search: Search, kind: str) -> None:
    study = search.create(f"study.pruner={{kind: {kind}}}")
    leases = Leases(study.engine, study.id, "a", Process.current())
    leases.join("cpu")
    lease = leases.claim()
    assert isinstance(lease, Lease)
    pruner = build_pruner(study.spec)
    pruner.open(study)
    result = EpochResult(epoch=1, epochs=4, score=0.5)
    statements: list[str] = []
    for engine in (study.engine, study.optuna._storage._backend.engine):  # type: ignore[attr-defined]
        sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    assert not pruner.decide(lease, {"x": 0.3}, result, reachable=False).prune
    assert statements == []
    assert not pruner.decide(lease, {"x": 0.3}, result, reachable=True).prune
    assert bool(statements) == (kind != "none")
    study.engine.dispose()


def test_without_a_database_the_median_read_last_applies(search: Search) -> None:
    study = search.create(
        "study.pruner={kind: median, startup_trials: 2, epochs: 1, patience: 1}", trials=4
    )
    leases = Leases(study.engine, study.id, "a", Process.current())
    leases.join("cpu")
    for _ in range(3):
        lease = leases.claim()
        assert isinstance(lease, Lease)
        for epoch in (1, 2):
            leases.report(lease, epoch, 4, 0.9)
        leases.finish(lease, "COMPLETE", 0.9, {})
    mine = leases.claim()
    assert isinstance(mine, Lease)
    pruner = build_pruner(study.spec)
    pruner.open(study)
    assert not pruner.decide(
        mine, {"x": 0.3}, EpochResult(epoch=1, epochs=4, score=0.95), reachable=True
    ).prune
    decision = pruner.decide(mine, {"x": 0.3}, EpochResult(epoch=2, epochs=4, score=0.0), reachable=False)
    assert decision.prune and decision.peers == 3 and decision.bar == pytest.approx(0.9)
    study.engine.dispose()
