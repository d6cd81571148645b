"""What a command with wrong input leaves: one line, and nothing written."""

from collections.abc import Callable
from pathlib import Path

from service import Answer

Command = Callable[..., Answer]


def refused(command: Command, folder: Path, *arguments: str) -> str:
    """The one line that a command with wrong input leaves."""
    before = everything(folder)
    answer = command(*arguments, code=2)
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    assert "Traceback" not in line and len(line) < 400
    assert everything(folder) == before, "something was written"
    return line


def everything(folder: Path) -> dict[Path, bytes | None]:
    """All files and folders of a test.

    Not the files that SQLite has beside a database while somebody reads it, of whom an earlier test may be
    the last: they come and go without anything being written.
    """
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in sorted(folder.parent.rglob("*"))
        if not _is_of_a_reader(path)
    }


def _is_of_a_reader(path: Path) -> bool:
    return path.name.endswith("-shm") or (path.name.endswith("-wal") and path.stat().st_size == 0)
