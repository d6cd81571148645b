"""A search in stages on PostgreSQL while workers are killed and the database restarts."""

import os
import signal
from collections import Counter

import pytest
from postgres import restart
from service import Search
from toy_studies import staged_document

from search.study.open import find_study
from search.study.read import read_records, read_snapshot

DOCUMENT = staged_document(
    "{trials: 4, epochs: 2}",
    "{keep: 2, controls: 0.5, epochs: 6}",
    "{keep: 1, seeds: 2}",
    epochs=3,
    seconds=0.2,
)


def running(search: Search, name: str) -> list[int]:
    """Processes that train in the study `name`, once one of its trials has reported two epochs."""
    study = find_study(search.url, name, read_only=True)
    if study is None:
        return []
    snapshot = read_snapshot(study)
    study.engine.dispose()
    far = {record.number for record in snapshot.running if record.epochs >= 2}
    return [worker.pid for worker in snapshot.workers if worker.trial in far]


@pytest.mark.nightly  # integration/retraining/test_stages.py stays, without kills
def test_kills_and_restarts_change_no_stages_plan(search_on_postgres: Search) -> None:
    search = search_on_postgres
    search.environment["SEARCH_LEASE_SECONDS"] = "2"
    (search.folder / "space.yaml").write_text(DOCUMENT)
    start = search.spawn("start", "--workers", "1")
    search.wait(lambda: search.study() is not None)
    other = search.spawn("worker", "--runs", str(search.folder / "another host"))
    (victim, *_) = search.wait(lambda: running(search, "toy-stage-2"))
    os.kill(victim, signal.SIGKILL)
    search.wait(lambda: running(search, "toy-stage-2"))
    restart(search.url)
    for process in (start, other):
        process.wait(180)
    assert start.returncode == 0, search.said

    trained: list[Counter[tuple[float, int]]] = []
    for name, epochs in (("toy", 2), ("toy-stage-2", 6), ("toy-stage-3", 3)):
        study = find_study(search.url, name, read_only=True)
        assert study is not None, search.said
        records = read_records(study)
        assert len(records) == study.row.trials
        assert {(record.state, len(record.curve)) for record in records} == {("complete", epochs)}
        trained.append(Counter((record.params["x"], record.seed or 0) for record in records))
        study.engine.dispose()
    assert all(set(stage.values()) == {1} for stage in trained), "each config with each seed once"
    first, second, third = ({x for x, _ in stage} for stage in trained)
    assert 0.9 in third and third < second <= first
