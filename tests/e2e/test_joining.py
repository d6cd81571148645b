"""What a machine that joins relies on: a study without workers, waiting for it, threads of a container."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from service import Answer, Search
from sqlalchemy.exc import OperationalError

from search.runtime import threads
from search.study.open import find_study
from search.study.study import Study
from search.worker import joining
from storage.engine import connect
from storage.errors import UnreachableError

Command = Callable[..., Answer]


def test_start_without_workers_only_creates_the_study(search: Search, command: Command) -> None:
    said = command("start", "--workers", "0")
    assert (said.out, said.err) == ("", "study 'toy' is ready; search worker --study toy works on it\n")
    budget = command("status", "--json").json["budget"]
    assert (budget["trials"], budget["claimed"]) == (3, 0)
    assert not search.runs.exists()


def test_start_without_workers_raises_the_budget_and_clears_a_stop(
    search: Search, command: Command
) -> None:
    search.create()
    command("stop")
    command("start", "--workers", "0", "--trials", "5")
    found = search.study()
    assert found is not None
    assert (found.row.trials, found.row.stop) == (5, None)
    assert "epochs 4 (asked: 2)" in command("start", "--workers", "0", "--set", "epochs=2", code=2).err


def test_a_worker_waits_for_database_and_study(search_on_each: Search) -> None:
    search = search_on_each
    worker = search.spawn("worker", "--wait", "60")
    search.wait(lambda: "looking again for up to 60 s" in search.said)
    assert worker.poll() is None
    search.create(trials=2)
    search.ends(worker)
    search.finished(2)
    assert search.said.count("looking again") == 1, "said once, not with every look"


def test_waiting_for_a_study_ends_after_the_given_time(search: Search, command: Command) -> None:
    command("start", "--workers", "0")
    said = command("worker", "--study", "other", "--wait", "0.1", code=2).err
    assert said.splitlines()[-1].startswith("--study: no study 'other'")
    refused = search.run(
        "worker", "--storage", "postgresql://me:geheim@127.0.0.1:9/no", "--wait", "0.1", code=2
    )
    assert "127.0.0.1:9" in refused.err and "geheim" not in refused.err and "Traceback" not in refused.err


def test_a_waiting_worker_leaves_when_told(search: Search) -> None:
    worker = search.spawn("worker", "--wait", "60")
    search.wait(lambda: "looking again" in search.said)
    worker.send_signal(signal.SIGTERM)
    search.ends(worker, code=143)


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", 64), ("400000 100000", 4), ("50000 100000", 1), (None, 64)]
)
def test_the_cpu_limit_of_a_container_counts(
    limit: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if limit is not None:
        (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert threads.cores() == cores
    assert threads.thread_variables(2)["OMP_NUM_THREADS"] == str(max(1, cores // 2))


def test_a_number_of_threads_from_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    variables = threads.thread_variables(1)
    assert (variables["OMP_NUM_THREADS"], variables["MKL_NUM_THREADS"]) == ("3", "3")


def test_a_database_that_goes_away_between_two_queries_is_unreachable(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(engine: object, name: str) -> None:
        raise OperationalError("SELECT", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr("search.study.open.open_database", lambda url, read_only: connect(url))
    monkeypatch.setattr("storage.studies.find", gone)
    with pytest.raises(UnreachableError, match="closed the connection"):
        find_study(postgres_url, "toy")


def test_a_worker_joins_though_the_database_goes_away_as_it_claims_its_folder(
    search_on_each: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_on_each.create()
    answers = [OperationalError("SELECT", {}, Exception("could not receive data from server")), None]

    def claim(study: Study, runs: Path) -> None:
        if (error := answers.pop(0)) is not None:
            raise error

    monkeypatch.setattr(joining, "claim_folder", claim)
    options = search_on_each.worker_options()
    if search_on_each.url.startswith("sqlite"):
        with pytest.raises(OperationalError):  # a file does not go away and come back
            joining.open_and_claim(options)
        return
    assert joining.open_and_claim(options).name == "toy" and not answers
