"""Files that are found whole or not at all, after a power cut too: what a checkpoint must be."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Writes a text beside `path`, then renames it."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    publish(temporary, path)


def publish(temporary: Path, path: Path) -> None:
    """Renames a finished file to `path`, so that it survives the machine going down at any moment."""
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)  # the directory holds the name


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
