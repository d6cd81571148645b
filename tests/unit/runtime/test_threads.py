"""How many CPU workers a machine is for."""

from pathlib import Path

import pytest

from search.runtime import threads

GIB = 2**30


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """64 cores and 100 GiB of free memory, in a container without a limit."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 64)
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    monkeypatch.setattr(threads, "MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:  {100 * GIB // 1024} kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    return monkeypatch


@pytest.mark.parametrize(("cores", "left", "workers"), [
    (2, 12, 2), (1, 12, 1), (64, 12, 3), (64, 60, 8), (64, 3, 1), (4, 0, 1)
])  # fmt: skip
def test_one_worker_per_core_but_eight_at_most_and_four_trials_for_each(
    machine: pytest.MonkeyPatch, cores: int, left: int, workers: int
) -> None:
    machine.setattr(threads, "cores", lambda: cores)
    assert threads.cpu_workers(left) == workers


def test_every_worker_has_two_gigabytes_of_free_memory(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(str(10 * GIB))
    (tmp_path / "memory.current").write_text(str(3 * GIB))
    assert threads.cpu_workers(60) == 3
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "meminfo").write_text(f"MemAvailable: {5 * GIB // 1024} kB\n")
    assert threads.cpu_workers(60) == 2
    (tmp_path / "meminfo").unlink()
    assert threads.cpu_workers(60) == 8, "memory that cannot be read is no limit"


def test_a_given_number_of_threads_divides_the_cores(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("OMP_NUM_THREADS", "16")
    assert threads.cpu_workers(60) == 4
    machine.setenv("OMP_NUM_THREADS", "16,2")
    assert threads.cpu_workers(60) == 4
    for blank in ("", "  "):  # as compose files set it where SEARCH_THREADS is not set
        machine.setenv("OMP_NUM_THREADS", blank)
        machine.setenv("MKL_NUM_THREADS", blank)
        assert threads.threads_each() == 1
        variables = threads.thread_variables(2)
        assert (variables["OMP_NUM_THREADS"], variables["MKL_NUM_THREADS"]) == ("32", "32")
