"""Files that are found whole or not at all, after a power cut too."""

import os
from pathlib import Path

GALLERY = "faces.npz"


def publish(temporary: Path, path: Path) -> None:
    """Rename a finished file to `path`, so that it survives the machine going down at any moment."""
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)  # the directory holds the name


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
