"""The cache: computed once, by real processes; what is there is whole."""

import logging
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from search.mseg.data import cache
from search.mseg.data.contents import contents

# Forked, since a fresh interpreter takes seconds to import torch; nothing here uses torch.
fork = multiprocessing.get_context("fork")
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def rows(count: int = 20, pause: float = 0.0, log: Path | None = None):
    """`count` rows of two arrays, noting in `log` that somebody computes them."""
    if log:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
    for index in range(count):
        time.sleep(pause)
        yield {"a": np.full((3, 4), index, np.uint8), "b": np.full(5, 255 - index, np.uint8)}


def check(table) -> None:
    assert table["a"].shape == (20, 3, 4) and table["b"].shape == (20, 5)
    assert (table["a"] == np.arange(20)[:, None, None]).all() and (table["b"][3] == 252).all()


def test_a_table_is_computed_once_and_mapped(tmp_path):
    log = tmp_path / "log"
    for _ in range(2):
        table = cache.table("key", 20, lambda: rows(log=log))
        check(table)
        assert isinstance(table, np.memmap)
    assert len(log.read_text().split()) == 1


def test_writing_to_a_table_leaves_the_file(tmp_path):
    cache.table("key", 20, rows)["a"][:] = 99
    check(cache.table("key", 20, rows))


def _ask(log: Path, barrier) -> None:
    barrier.wait()
    check(cache.table("key", 20, lambda: rows(pause=0.02, log=log)))


def test_four_processes_at_once_compute_it_once(tmp_path):
    barrier = fork.Barrier(4)
    processes = [fork.Process(target=_ask, args=(tmp_path / "log", barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert len((tmp_path / "log").read_text().split()) == 1


def _never_finish(log: Path) -> None:
    cache.table("key", 20, lambda: rows(pause=0.05, log=log))


def test_a_builder_that_is_killed_leaves_nothing_that_counts(tmp_path):
    """Another process waits meanwhile; it takes over when the first one is dead."""
    log = tmp_path / "log"
    killed = fork.Process(target=_never_finish, args=(log,))
    killed.start()
    while not list(cache.folder().glob("key.building-*")):
        time.sleep(0.01)
    waiting = fork.Process(target=_ask, args=(log, fork.Barrier(1)))
    waiting.start()
    time.sleep(0.2)
    os.kill(killed.pid, signal.SIGKILL)
    waiting.join(20)
    killed.join(5)
    assert killed.exitcode == -signal.SIGKILL and waiting.exitcode == 0
    assert sorted(path.name for path in cache.folder().iterdir()) == ["key.lock", "key.npy"]
    assert len(log.read_text().split()) == 2


def test_an_error_in_the_middle_stores_nothing():
    def broken():
        yield from rows(5)
        raise KeyError("row 5")

    with pytest.raises(KeyError):
        cache.table("key", 20, broken)
    assert [path.name for path in cache.folder().iterdir()] == ["key.lock"]
    check(cache.table("key", 20, rows))


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        for key in ("one", "two"):
            table = cache.table(key, 20, rows)
            check(table)
            assert not isinstance(table, np.memmap)
    assert len(caplog.messages) == 1 and "SEARCH_CACHE" in caplog.messages[0]


def test_the_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("SEARCH_CACHE", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.folder() == Path("/somewhere")
    monkeypatch.delenv("SEARCH_CACHE")
    assert cache.folder() == Path("/xdg/mseg-search")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache.folder() == Path("/home/someone/.cache/mseg-search")


def test_contents_are_read_again_only_where_size_or_time_changed(tmp_path, monkeypatch):
    root = tmp_path / "data"
    root.mkdir()
    files = [root / name for name in ("a", "b", "c")]
    for path in files:
        path.write_text(path.name)
    first = contents(root, files)
    assert [entry.size for entry in first] == [1, 1, 1] and len({entry.sha256 for entry in first}) == 3

    stamp = files[0].stat()
    files[0].write_text("x")  # the same size and, by force, the same time: believed to be unchanged
    os.utime(files[0], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    files[1].write_text("y")
    os.utime(files[1], ns=(stamp.st_atime_ns, first[1].mtime_ns + 1))
    second = contents(root, files)
    assert [one.sha256 == two.sha256 for one, two in zip(first, second, strict=True)] == [True, False, True]

    index = next(cache.folder().glob("contents-*.json"))
    for damage in ("", "[1, 2]", '{"a": 3}', '{"a": [1, 2'):
        index.write_text(damage)
        assert contents(root, files)[0].sha256 != first[0].sha256  # read anew
