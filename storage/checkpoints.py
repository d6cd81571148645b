"""Checkpoints in an artifact store: how a trial gets from one machine to another.

A checkpoint is two objects under fixed keys, for the study `mseg`, trial 17, its second owner:

    mseg-5f0c3a9e.trial-0017.2.0.tar     the files of the trial's folder
    mseg-5f0c3a9e.trial-0017.2.0.json    its manifest: epoch, size, SHA-256

- An owner writes generations 0 and 1 in turn, the manifest last. What was half-written when its
  machine died does not fit its manifest; the other generation is whole.
- Every attempt has keys of its own: a worker that was taken for dead may finish writing, but never over
  what its successor has written.
- Nothing is unpickled here. Whoever can write to the store can put anything there, so of an archive only
  plain files with plain names are taken, each name once, and no more bytes than the archive itself holds.
"""

import hashlib
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from storage.artifacts import remove

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

GENERATIONS = (0, 1)
IN_MEMORY = 2**27  # bytes of an archive; what is larger goes through a temporary file
BLOCK = 2**20  # bytes read at once
MANIFEST_BYTES = 2**12  # of a manifest at most; ours have about 120
MOST_MEMBERS = 1000  # of an archive; a trial's folder holds about ten files
_File = BinaryIO | tempfile.SpooledTemporaryFile[bytes]
SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a whole archive is: the epoch it was saved after, its size in bytes, its SHA-256 in hex."""

    epoch: int
    size: int
    sha256: str

    @classmethod
    def read(cls, text: bytes) -> "Manifest | None":
        """The manifest that `text` is; None for anything that `save` does not write."""
        try:
            stored = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(stored, dict):
            return None
        epoch, size, sha256 = (stored.get(name) for name in ("epoch", "size", "sha256"))
        # `type` and not `isinstance`: true is an int, too.
        if type(epoch) is not int or type(size) is not int or type(sha256) is not str:
            return None
        return cls(epoch, size, sha256) if epoch > 0 and size > 0 and SHA256.fullmatch(sha256) else None


class Checkpoints:
    """The checkpoints of one study in `store`; `name` begins all of its keys."""

    def __init__(self, store: "ArtifactStore", name: str) -> None:
        self.store = store
        self.name = name

    def save(self, number: int, attempt: int, generation: int, epoch: int, files: Sequence[Path]) -> None:
        """Writes `files`, as they are after `epoch`; the caller changes the generation each time."""
        key = self._key(number, attempt, generation)
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as archive:
            _pack(files, archive)
            size = archive.tell()
            archive.seek(0)
            sha256 = _sha256(archive)
            archive.seek(0)
            self.store.write(f"{key}.tar", archive)  # type: ignore[arg-type]
        manifest = json.dumps(asdict(Manifest(epoch, size, sha256)))
        self.store.write(f"{key}.json", io.BytesIO(manifest.encode()))

    def load(self, number: int, before: int, beyond: int, folder: Path) -> int:
        """Puts the furthest whole checkpoint of the latest owner that has one into an empty `folder`.

        Args:
            before: only attempts below this one count.
            beyond: only epochs above this one count.

        Returns:
            The checkpoint's epoch; 0 where there is none, and `folder` is as it was.
        """
        for attempt in range(before - 1, 0, -1):
            for key, manifest in self._furthest_first(number, attempt):
                if manifest.epoch <= beyond:
                    return 0  # owners before this one did not get further
                if self._unpack(key, manifest, folder):
                    return manifest.epoch
        return 0

    def drop(self, number: int, attempts: range) -> None:
        """Removes what these attempts have written."""
        for attempt in attempts:
            for generation in GENERATIONS:
                for suffix in ("json", "tar"):
                    remove(self.store, f"{self._key(number, attempt, generation)}.{suffix}")

    def _key(self, number: int, attempt: int, generation: int) -> str:
        return f"{self.name}.trial-{number:04d}.{attempt}.{generation}"

    def _furthest_first(self, number: int, attempt: int) -> list[tuple[str, Manifest]]:
        keys = [self._key(number, attempt, generation) for generation in GENERATIONS]
        found = [(key, manifest) for key in keys if (manifest := self._manifest(key)) is not None]
        return sorted(found, key=lambda each: each[1].epoch, reverse=True)

    def _manifest(self, key: str) -> Manifest | None:
        """The manifest at `key`; None where there is none, or half of one."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        try:
            with self.store.open_reader(f"{key}.json") as reader:
                text = reader.read(MANIFEST_BYTES + 1)
        except ArtifactNotFound:
            return None
        return Manifest.read(text) if len(text) <= MANIFEST_BYTES else None

    def _unpack(self, key: str, manifest: Manifest, folder: Path) -> bool:
        """Takes the archive apart into `folder`; False, and nothing taken, where it is not whole."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        with tempfile.SpooledTemporaryFile(IN_MEMORY) as archive:
            try:
                with self.store.open_reader(f"{key}.tar") as reader:
                    # One byte beyond the manifest's size says enough of what is too large.
                    _copy(reader, archive, manifest.size + 1)
            except ArtifactNotFound:
                return False
            size = archive.tell()
            archive.seek(0)
            if size != manifest.size or _sha256(archive) != manifest.sha256:
                return False
            archive.seek(0)
            return _extract(archive, size, folder)


def _extract(archive: tempfile.SpooledTemporaryFile[bytes], size: int, folder: Path) -> bool:
    """Writes the plain files of a tar of `size` bytes; False, and nothing written, where there are none."""
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            members = _plain_members(tar, size)
    except Exception:  # a tar of somebody else's making: tarfile fails in more ways than it documents
        return False
    written: list[Path] = []
    try:
        for member in members:
            path = folder / member.name
            # Never over a file: where case does not count, two names of an archive may be one file.
            with path.open("xb") as file:
                written.append(path)
                archive.seek(member.offset_data)
                _copy(archive, file, member.size)
    except FileExistsError:
        for path in written:
            path.unlink()
        return False
    return bool(members)


def _plain_members(tar: tarfile.TarFile, size: int) -> list[tarfile.TarInfo]:
    """The members that may be written: plain files with plain names.

    Left out are links, devices, folders, names with a path, and sparse files, whose sizes are claims.

    Raises:
        ValueError: two have one name, one claims to be longer than the archive, or there are too many.
    """
    members: dict[str, tarfile.TarInfo] = {}
    for count, member in enumerate(tar):
        end = member.offset_data + member.size
        if count >= MOST_MEMBERS or member.size < 0:
            raise ValueError("too many members")
        if not member.isreg() or member.issparse() or not _is_plain(member.name):
            continue
        if member.name in members or end > size:
            raise ValueError("not the archive of a checkpoint")
        members[member.name] = member
    if sum(member.size for member in members.values()) > size:
        raise ValueError("members overlap")
    return list(members.values())


def _is_plain(name: str) -> bool:
    return name == Path(name).name and name != ".." and "\0" not in name


def _copy(source: _File, target: _File, limit: int) -> None:
    """Copies `limit` bytes at most."""
    while limit > 0 and (block := source.read(min(BLOCK, limit))):
        target.write(block)
        limit -= len(block)


def _pack(files: Sequence[Path], archive: _File) -> None:
    """Writes a tar of `files` by their names; whose they were on this machine stays here."""
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in files:
            with path.open("rb") as file:
                member = tarfile.TarInfo(path.name)
                member.size = path.stat().st_size
                tar.addfile(member, file)


def _sha256(file: _File) -> str:
    """Of what is left to read in `file`."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()
