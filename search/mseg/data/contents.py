"""Hashes of files, which are read again only if they changed.

An index per data folder, beside the cached arrays, has size, time and hash of every file. If it is lost,
damaged or not writable, the files are read once more.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple
from uuid import uuid4

from search.errors import DataError
from search.mseg.data.cache import folder as cache_folder


class Content(NamedTuple):
    """A file's size in bytes, when it was last written in ns, and the SHA-256 of its bytes."""

    size: int
    mtime_ns: int
    sha256: str


def contents(root: Path, files: Sequence[Path]) -> list[Content]:
    """The contents of `files`, all of them under `root`.

    Raises:
        DataError: a file cannot be read.
    """
    where = hashlib.sha256(bytes(root.resolve())).hexdigest()[:16]
    index = cache_folder() / f"contents-{where}.json"
    known = _read(index)

    def content(path: Path) -> Content:
        stat = path.stat()
        if not S_ISREG(stat.st_mode):  # reading a pipe would wait for ever
            raise DataError(f"{path}: is no file; remove it")
        last = known.get(str(path.relative_to(root)))
        if last and last[:2] == (stat.st_size, stat.st_mtime_ns):
            return last
        with path.open("rb") as file:
            return Content(stat.st_size, stat.st_mtime_ns, hashlib.file_digest(file, "sha256").hexdigest())

    try:
        with ThreadPoolExecutor() as pool:
            entries = list(pool.map(content, files))
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}; make it readable") from error
    now = {str(path.relative_to(root)): entry for path, entry in zip(files, entries, strict=True)}
    if now != known:
        _write(index, now)
    return entries


def _read(index: Path) -> dict[str, Content]:
    try:
        return {name: Content(*entry) for name, entry in json.loads(index.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(index: Path, entries: dict[str, Content]) -> None:
    with suppress(OSError):
        index.parent.mkdir(parents=True, exist_ok=True)
        beside = index.with_name(f"{index.name}.{uuid4().hex}")
        beside.write_text(json.dumps(entries))
        beside.replace(index)


def digest(parts: Iterable[object]) -> str:
    """A short name for a sequence of plain values: 16 hexadecimal digits that change when one does."""
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()[:16]
