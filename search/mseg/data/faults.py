"""Everything that is wrong with the files of a data set, in one line."""

from collections.abc import Sequence
from pathlib import Path

from search.errors import DataError, listed


class FileFault(DataError):
    """What is wrong with one file: `file: what, and what to do`.

    Attributes:
        kind: the same for files with the same fault; a message describes each kind once.
    """

    def __init__(self, path: Path, kind: str, sentence: str) -> None:
        super().__init__(f"{path}: {sentence}")
        self.path = path
        self.kind = kind


class FileFaults(DataError):
    """The faults of several files: the first of each kind in full, the number and names of the others."""

    def __init__(self, faults: Sequence[FileFault]) -> None:
        faults = sorted(faults, key=lambda fault: fault.path)
        kinds = {fault.kind: [each for each in faults if each.kind == fault.kind] for fault in faults}
        super().__init__("; ".join(map(_sentence, kinds.values())))
        self.faults = tuple(faults)


def _sentence(faults: Sequence[FileFault]) -> str:
    first, *others = faults
    if not others:
        return str(first)
    return f"{first} ({len(faults)} such files: {listed([fault.path.stem for fault in faults])})"
