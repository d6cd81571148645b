"""Checkpoints in an artifact store: how a trial gets from one machine to another.

A checkpoint is two objects under fixed keys, for the study `mseg`, trial 17, its second owner:

    mseg-5f0c3a9e.trial-0017.2.0.tar     the files of the trial's folder
    mseg-5f0c3a9e.trial-0017.2.0.json    its manifest: epoch, size, SHA-256

- An owner writes generations 0 and 1 in turn, the manifest last. What was half-written when its
  machine died does not fit its manifest; the other generation is whole.
- Every attempt has keys of its own: a worker that was taken for dead may finish writing, but never over
  what its successor has written.
- Nothing is unpickled here, and of an archive only plain files with plain names are taken.
"""

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

GENERATIONS = (0, 1)
IN_MEMORY = 2**27  # bytes of an archive; what is larger goes through a temporary file


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a whole archive is: the epoch it was saved after, its size in bytes, its SHA-256 in hex."""

    epoch: int
    size: int
    sha256: str


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
        from optuna.artifacts.exceptions import ArtifactNotFound

        for attempt in attempts:
            for generation in GENERATIONS:
                for suffix in ("json", "tar"):
                    with suppress(ArtifactNotFound):
                        self.store.remove(f"{self._key(number, attempt, generation)}.{suffix}")

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
                stored = json.loads(reader.read())
            return Manifest(int(stored["epoch"]), int(stored["size"]), str(stored["sha256"]))
        except (ArtifactNotFound, ValueError, KeyError, TypeError):
            return None

    def _unpack(self, key: str, manifest: Manifest, folder: Path) -> bool:
        """Takes the archive apart into `folder`; False, and nothing taken, where it is not whole."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        with tempfile.SpooledTemporaryFile(IN_MEMORY) as archive:
            try:
                with self.store.open_reader(f"{key}.tar") as reader:
                    shutil.copyfileobj(reader, archive)
            except ArtifactNotFound:
                return False
            size = archive.tell()
            archive.seek(0)
            if size != manifest.size or _sha256(archive) != manifest.sha256:
                return False
            archive.seek(0)
            with tarfile.open(fileobj=archive, mode="r:") as tar:
                for member in tar:
                    content = tar.extractfile(member) if member.isreg() else None
                    if content is None or member.name != Path(member.name).name:
                        continue
                    with (folder / member.name).open("wb") as file:
                        shutil.copyfileobj(content, file)
        return True


def _pack(files: Sequence[Path], archive: BinaryIO | tempfile.SpooledTemporaryFile[bytes]) -> None:
    """Writes a tar of `files` by their names; whose they were on this machine stays here."""
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in files:
            with path.open("rb") as file:
                member = tarfile.TarInfo(path.name)
                member.size = path.stat().st_size
                tar.addfile(member, file)


def _sha256(file: BinaryIO | tempfile.SpooledTemporaryFile[bytes]) -> str:
    """Of what is left to read in `file`."""
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()
