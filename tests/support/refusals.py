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
    """All files and folders of a test, but for the cache of what was read of the data.

    Of the file in which SQLite notes who reads, only that it is there.
    """
    return {
        path: path.read_bytes() if path.is_file() and not path.name.endswith("-shm") else None
        for path in sorted(folder.parent.rglob("*"))
        if folder.parent / "cache" not in (path, *path.parents)
    }
