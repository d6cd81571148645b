"""A zip that anybody may have made, read in memory: nothing is unpacked, and no member fills the memory.

Names that lead outside the zip, links, encrypted and oversized members are problems; they are not read.
"""

import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from search.errors import UserError
from search.objective.results import SubmissionProblem

MOST_BYTES = 64 * 2**20
"""Of one member: a mask has some kilobytes, weights below the challenge's cap 7 MB."""

MOST_IN_ALL = 2**30
MOST_MEMBERS = 20_000
ENCRYPTED = 0x1  # bit of a member's flags


class Archive:
    """The files of a zip.

    Attributes:
        problems: what is wrong with it as a zip; the files concerned cannot be read.
        root: the folder that everything is in; empty unless the zip has one more than it should.
        names: of the files that can be read, without `root`.
    """

    def __init__(self, path: Path) -> None:
        """Opens the zip.

        Raises:
            UserError: the file is missing, or no zip.
        """
        self.path = path
        self.problems: list[SubmissionProblem] = []
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError as error:
            raise UserError(f"--check: {path}: no such file; name a zip") from error
        except OSError as error:
            raise UserError(f"--check: {path}: cannot be read: {error.strerror}; name a zip") from error
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as error:
            raise UserError(
                f"--check: {path}: is no zip, or is cut off ({error}); make it again"
            ) from error
        found = dict(self._readable())
        self.root = _root_of(found)
        if self.root:
            self.problem(self.root, "holds everything", "zip what is in this folder, not the folder")
        self._members = {name.removeprefix(self.root): info for name, info in found.items()}

    @property
    def names(self) -> list[str]:
        return sorted(self._members)

    def problem(self, place: str, text: str, remedy: str) -> None:
        self.problems.append(SubmissionProblem(place, text, remedy))

    def read(self, name: str) -> bytes | None:
        """A file's content; None if it is damaged, which is then among the problems."""
        info = self._members[name]
        try:
            with self._zip.open(info) as file:
                content = file.read(MOST_BYTES + 1)
                if len(content) <= MOST_BYTES and not file.read(1):
                    return content
                raise zipfile.BadZipFile("longer than it says")
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            reason = str(error).split(" (")[0][:80] or type(error).__name__
            self.problem(name, f"cannot be read ({reason})", "make the zip again, with method Deflate")
            return None

    def close(self) -> None:
        self._zip.close()

    def _readable(self) -> Iterator[tuple[str, zipfile.ZipInfo]]:
        """The members that may be read, by name; the others become problems."""
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        if len(infos) > MOST_MEMBERS:
            self.problem("the zip", f"has {len(infos)} files", "hand in masks and solution only")
            return
        if (total := sum(info.file_size for info in infos)) > MOST_IN_ALL:
            self.problem("the zip", f"unpacks to {total // 2**20} MB", "hand in masks and solution only")
            return
        times = Counter(info.filename for info in infos)
        for info in infos:
            if fault := _fault(info, times):
                self.problem(repr(info.filename)[1:-1][:80], *fault)
                times[info.filename] = 0  # one sentence is enough
            elif times[info.filename]:
                yield info.filename, info


def _fault(info: zipfile.ZipInfo, times: Mapping[str, int]) -> tuple[str, str] | None:
    """Why a member may not be read, and what to do."""
    # zipfile replaces \\ where the system's separator is one, and cuts a name at a NUL.
    written = info.orig_filename
    path = PurePosixPath(written)
    if path.is_absolute() or ".." in path.parts or "\\" in written or ":" in written or "\0" in written:
        return "its name leads out of the zip's folder", "use names such as masks/NAME.png"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link", "put the file itself into the zip"
    if info.flag_bits & ENCRYPTED:
        return "is encrypted", "make the zip without a password"
    if info.file_size > MOST_BYTES:
        return f"unpacks to {info.file_size // 2**20} MB", f"keep every file below {MOST_BYTES // 2**20} MB"
    if times[info.filename] > 1:
        return f"is in the zip {times[info.filename]} times", "keep one"
    return None


def _root_of(names: Mapping[str, object]) -> str:
    """`submission/` if all files are in that folder and it is no folder of a submission."""
    tops = {name.partition("/")[0] for name in names if "/" in name and not is_litter(name)}
    outside = [name for name in names if "/" not in name and not is_litter(name)]
    if len(tops) != 1 or outside:
        return ""
    (top,) = tops
    inside = {name.split("/")[1] for name in names if name.count("/") > 1}
    return f"{top}/" if inside & {"masks", "solution"} else ""


def is_litter(name: str) -> bool:
    """Whether a file is what macOS or Windows leave in zips and folders."""
    last = name.rpartition("/")[2]
    return name.startswith("__MACOSX/") or last in (".DS_Store", "Thumbs.db") or last.startswith("._")
