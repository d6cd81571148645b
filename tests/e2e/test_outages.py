"""A real PostgreSQL server that restarts, and one that is away for longer than a lease."""

import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from postgres import restart
from service import Search
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError
from toy_studies import pauses, right, staged_document, uninterrupted

from search.launcher import start, supervisor
from search.retraining import stages
from search.runtime.signals import Interrupt
from search.study.open import open_study
from search.study.study import Study
from search.worker import joining
from search.worker.heartbeat import Heartbeat
from search.worker.retry import retry_until_answered
from storage import reads
from storage.leases import Leases
from storage.processes import Process


def test_an_outage_of_three_leases_costs_nothing(search_on_postgres: Search) -> None:
    """Training goes on meanwhile, and who starts then waits."""
    search = search_on_postgres
    search.environment["SEARCH_LEASE_SECONDS"] = "2"
    process = search.spawn("start", "--workers", "2", "--trials", "3", *pauses(0.4, 12))
    search.wait(lambda: len([record for record in search.records() if record.epochs >= 2]) >= 2)
    trained = []

    def meanwhile() -> None:
        trained.append(sum(search.trained().values()))
        late = search.spawn("worker")
        time.sleep(6.0)
        trained.append(sum(search.trained().values()))
        search.wait(lambda: "looking again for up to 30 s" in search.said)
        assert late.poll() is None and process.poll() is None

    restart(search.url, meanwhile)
    search.ends(process)
    before, after = trained
    assert after - before >= 6, "nobody trained"
    uninterrupted(search, trials=3, epochs=12)


def test_epochs_of_a_worker_that_ends_in_an_outage_are_reported_by_the_next(
    search_on_postgres: Search,
) -> None:
    """What it trained meanwhile is reported by the next worker of the machine, which goes on from there."""
    search = search_on_postgres
    search.environment["SEARCH_LEASE_SECONDS"] = "2"
    search.create("seconds=0.2", "epochs=12", trials=1)
    first = search.spawn("worker")
    search.wait(lambda: sum(search.trained().values()) >= 2)
    meanwhile_trained = []

    def meanwhile() -> None:
        before = sum(search.trained().values())
        search.wait(lambda: sum(search.trained().values()) >= before + 3)
        first.kill()
        first.wait()
        meanwhile_trained.append(sum(search.trained().values()) - before)

    restart(search.url, meanwhile)
    search.ends(search.spawn("worker"))
    (record,) = search.finished(1, epochs=12)
    assert right(record) and record.attempts == 2
    assert meanwhile_trained[0] >= 3
    assert sum(search.trained().values()) <= 12 + 1, "what was trained meanwhile was trained again"
    assert "trained and not reported" in (search.runs / "trial-0000" / "log.txt").read_text()


def test_a_worker_between_two_stages_waits_for_the_database(
    search_on_postgres: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stops as the first stage has ended, and comes back once the worker has met that."""
    search = search_on_postgres
    document = staged_document("{trials: 3, epochs: 1}", "{keep: 1, epochs: 2}", epochs=3)
    (search.folder / "space.yaml").write_text(document)
    search.create()
    down, met, really = threading.Event(), threading.Event(), stages.next_stage

    def meanwhile() -> None:
        down.set()
        assert met.wait(60)

    server = threading.Thread(target=restart, args=(search.url, meanwhile))

    def next_stage(study: Study, data: Path | None) -> Study | None:
        if not down.is_set():
            server.start()
            assert down.wait(60)
        try:
            return really(study, data)
        finally:
            met.set()

    monkeypatch.setattr(stages, "next_stage", next_stage)
    options = search.worker_options()
    assert joining.run_worker(options, Interrupt()) == 0
    server.join()
    second = open_study(search.url, "toy-stage-2")
    assert {row.state for row in reads.trial_rows(second.engine, second.id)} == {"COMPLETE"}


@pytest.mark.parametrize("module, name", [(supervisor, "read_snapshot"), (start, "next_stage")])
def test_a_start_between_two_stages_waits_for_the_database(
    search: Search, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    """As its workers have left, and as it opens the next stage."""
    study, really = search.create(), getattr(module, name)
    errors = [OperationalError("SELECT", {}, Exception("could not receive data from server"))]

    def answer(*arguments: Any) -> Any:
        if errors:
            raise errors.pop()
        return really(*arguments)

    monkeypatch.setattr(module, name, answer)
    nobody = supervisor.LocalWorkers([], search.folder / "runs", None, None)
    (snapshot,) = supervisor.Supervisor(study, nobody).supervise(Interrupt())
    assert snapshot.study == "toy"
    assert start.started_stage(study, None) is None and not errors


def test_a_missing_table_is_an_error_and_no_outage(search_on_postgres: Search) -> None:
    study = search_on_postgres.create(trials=1)
    heartbeat = Heartbeat(Leases(study.engine, study.id, "somebody", Process.current()))
    with study.engine.begin() as connection:
        connection.execute(text("ALTER TABLE search_leases RENAME TO gone"))
    with pytest.raises(ProgrammingError, match="search_leases"):
        retry_until_answered(lambda: reads.trial_rows(study.engine, study.id), Interrupt(), heartbeat)
    with study.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO search_leases"))


def test_a_worker_holds_at_most_three_connections(search_on_postgres: Search) -> None:
    """One for its own tables, one for Optuna's."""
    search = search_on_postgres
    search.create("study.sampler={kind: tpe, seed: 3}", "seconds=0.1", "epochs=3", trials=3)
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    mine = search.count(count)
    worker = search.spawn("worker")
    seen = []
    while worker.poll() is None:
        seen.append(search.count(count) - mine)
        time.sleep(0.1)
    search.ends(worker)
    assert max(seen) <= 3 and sorted(seen)[len(seen) // 2] <= 2, seen
