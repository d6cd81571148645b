"""Arrays that are computed once on a machine and memory-mapped by all of its processes.

The folder is `$SEARCH_CACHE`, else `$XDG_CACHE_HOME/mseg-search`, else `~/.cache/mseg-search`; it may be
removed at any time. **An existing entry is complete**: it is written under another name, synced, and then
renamed. Processes that need the same entry wait for the first one on a file lock, which the system releases
when its holder dies. Entries are written as their rows come, so they may be larger than the memory. If
nothing can be written, they stay in memory, with a warning.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from search.objective.files import publish

log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]
"""One item's arrays by name."""

Table = NDArray[np.void]
"""All items, one record each: `table["masks"]` is every item's array of that name, a view."""


def folder() -> Path:
    """Where the cache is; it need not exist."""
    if chosen := os.environ.get("SEARCH_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "mseg-search"


def table(key: str, count: int, rows: Callable[[], Iterable[Arrays]]) -> Table:
    """The table of entry `key`, computed from `rows` by the first process that asks.

    Args:
        key: a file name that changes with everything the values depend on.
        count: number of rows, at least 1.
        rows: returns them in order, all with the same names, types and shapes. If it raises, nothing is
            stored and the exception passes through; it may not raise OSError, which would be taken for the
            cache's.
    """

    def write(file: BinaryIO) -> None:
        for index, row in enumerate(rows()):
            if index == 0:
                _write_header(file, _record(row), count)
            for values in row.values():
                file.write(np.ascontiguousarray(values).data)

    def in_memory() -> Table:
        for index, row in enumerate(rows()):
            if index == 0:
                result = np.empty(count, _record(row))
            for name, values in row.items():
                result[name][index] = values
        return result

    return _entry(key, write, in_memory)


def flat(key: str, count: int, parts: Callable[[], Iterable[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Entry `key`: `count` values, those of arrays of any shape one after the other; else as `table`."""

    def write(file: BinaryIO) -> None:
        _write_header(file, np.dtype(np.uint8), count)
        for part in parts():
            file.write(np.ascontiguousarray(part).data)

    return _entry(key, write, lambda: np.concatenate([part.ravel() for part in parts()]))


def _entry(key: str, write: Callable[[BinaryIO], None], in_memory: Callable[[], NDArray[Any]]) -> Any:
    try:
        # Mapped copy-on-write: torch wants arrays that can be written, and the file stays as it is.
        return np.load(_file(key, write), mmap_mode="c")
    except OSError as error:
        _warn_once(f"{folder()}: {error.strerror}")
        return in_memory()


def _file(key: str, write: Callable[[BinaryIO], None]) -> Path:
    root = folder()
    entry = root / f"{key}.npy"
    if entry.exists():
        return entry
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{key}.lock"):
        if entry.exists():
            return entry
        for abandoned in root.glob(f"{key}.building-*"):  # its builder is dead: we hold the lock
            abandoned.unlink()
        building = root / f"{key}.building-{uuid4().hex}"
        try:
            with building.open("xb") as file:  # not through a mapping: there, a full disk would be a SIGBUS
                write(file)
            publish(building, entry)
        except BaseException:
            building.unlink(missing_ok=True)
            raise
    return entry


def _write_header(file: BinaryIO, dtype: np.dtype[Any], count: int) -> None:
    header = {"descr": dtype.descr if dtype.names else dtype.str, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)


def _record(row: Arrays) -> np.dtype[np.void]:
    return np.dtype([(name, values.dtype, values.shape) for name, values in row.items()])


@cache
def _warn_once(reason: str) -> None:
    log.warning(
        "no cache, data are decoded again by every process: %s (set SEARCH_CACHE to a folder)", reason
    )
