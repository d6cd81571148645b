"""Arrays that are computed once on a machine and memory-mapped by every process of it.

The folder is `$SEARCH_CACHE`, else `$XDG_CACHE_HOME/mseg-search`, else `~/.cache/mseg-search`; it may be
removed at any time. **An entry that is there is whole**: it is written under another name, synced, and
then renamed. Processes that want the same one wait for the first on a file lock, which the system
releases when its holder dies. Where nothing can be written, the arrays stay in memory, and a warning says so.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

Row = Mapping[str, NDArray[np.uint8]]
"""One item's arrays by name."""

Arrays = dict[str, NDArray[np.uint8]]
"""The arrays of all items by the same names, items first."""


def folder() -> Path:
    """Where the cache is; it need not exist."""
    if chosen := os.environ.get("SEARCH_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "mseg-search"


def arrays(key: str, count: int, rows: Callable[[], Iterable[Row]]) -> Arrays:
    """The arrays of entry `key`, computed from `rows` by the first process that asks.

    Args:
        key: a file name that changes with all that the values depend on.
        count: how many rows there are, at least 1.
        rows: gives them in order, with the same names and shapes. What it raises passes through and
            nothing is stored; an OSError would be taken for the cache's, so it raises none.
    """
    try:
        return _mapped(_entry(key, count, rows))
    except OSError as error:
        _warn_once(f"{folder()}: {error.strerror}")
        return _in_memory(count, rows())


def _entry(key: str, count: int, rows: Callable[[], Iterable[Row]]) -> Path:
    """The folder of an entry that is whole."""
    root = folder()
    entry = root / key
    if entry.is_dir():
        return entry
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f"{key}.lock"):
        if entry.is_dir():
            return entry
        for abandoned in root.glob(f"{key}.building-*"):  # whoever built it is dead: the lock is ours
            shutil.rmtree(abandoned, ignore_errors=True)
        building = root / f"{key}.building-{uuid4().hex}"
        building.mkdir()
        try:
            _write(building, count, rows())
            building.rename(entry)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        _sync(root)
    return entry


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(target: Path, count: int, rows: Iterable[Row]) -> None:
    """A .npy file per name, durable. Not through a mapping: there, a full disk would be a SIGBUS."""
    files: dict[str, IO[bytes]] = {}
    with ExitStack() as stack:
        for row in rows:
            for name, values in row.items():
                if name not in files:
                    files[name] = stack.enter_context((target / f"{name}.npy").open("wb"))
                    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *values.shape)}
                    np.lib.format.write_array_header_1_0(files[name], header)
                files[name].write(np.ascontiguousarray(values).data)
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    _sync(target)


def _sync(directory: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mapped(entry: Path) -> Arrays:
    # Mapped copy-on-write: torch wants arrays that can be written, and the file stays as it is.
    return {path.stem: np.load(path, mmap_mode="c") for path in entry.iterdir()}


def _in_memory(count: int, rows: Iterable[Row]) -> Arrays:
    result: Arrays = {}
    for index, row in enumerate(rows):
        for name, values in row.items():
            result.setdefault(name, np.empty((count, *values.shape), np.uint8))[index] = values
    return result


@cache
def _warn_once(reason: str) -> None:
    log.warning(
        "no cache, data are decoded again by every process: %s (set SEARCH_CACHE to a folder)", reason
    )
