"""A trial's folder: its owner works in a folder of its own and publishes what its lease covers.

    runs/mseg/trial-0017/                             published: the last confirmed epoch
    runs/mseg/trial-0017/.work-3f2a91c0/trial-0017/   where the present owner trains

A worker that was taken for dead may still write for a while, but only into its own folder, never over the
files its successor continues. Publishing links files where the file system can, so it costs no time and no
space. Until the trial ends, a file `.epoch` holds the published epoch and all scores up to it: a database
that was restored from a backup lacks the last ones.

While the database is away nothing is published, and `.unreported` in the owner's folder lists the results
that are still to be reported. If that owner dies or falls silent, the next one continues there.
"""

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from search.errors import UserError
from search.objective import EpochResult
from search.objective.files import write_whole
from search.study.folder import trial_name

WORK = ".work-"
MARK = ".epoch"
PUBLISHED = ".published"  # in the study's folder: names of the files that its trials have published
UNREPORTED = ".unreported"
LOG = "log.txt"
FREE_BYTES = 100 * 2**20  # without which no trial begins: several checkpoints of the stock model
NO_LINKS = {
    errno.EPERM,
    errno.EACCES,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EXDEV,
    errno.ENOSYS,
    errno.EMLINK,
}


class Workspace:
    """The folder of trial `number` below `study_folder`, as worker `owner` sees it."""

    def __init__(self, study_folder: Path, number: int, owner: str, study_token: str) -> None:
        self.published = study_folder / trial_name(number)
        # Named like the trial's folder, since an objective may record the name of its folder.
        self.work = self._folder_of(owner) / self.published.name
        self.epoch = 0
        self.scores: dict[int, float] = {}
        self._study = study_token

    def open(self, left_by: str | None = None, *, begun: bool = True) -> list[EpochResult]:
        """Starts from the checkpoint on this machine; `epoch` is then its epoch, 0 where there is none.

        `scores` are then those of its epochs, as far as they were written down.

        Published files are copied, so that no open file is shared. Files of a study of the same name in
        another database are not continued.

        Args:
            left_by: the previous owner, dead or silent. Its folder is continued where it holds results
                that are still to be reported.
            begun: whether this trial had an owner before. If not, what is there is of a trial that a
                restored database has forgotten, which may have had another config.

        Returns:
            Those results, in order.
        """
        if left_by is not None and (unreported := self._inherit(left_by)):
            self.epoch = unreported[-1].epoch
            return unreported
        self._empty()
        if begun:
            self.epoch, self.scores = self._marked()
        if self.epoch:
            for path in _files(self.published):
                shutil.copy2(path, self.work / path.name)
        return []

    def start_from(self, folder: Path, epoch: int) -> None:
        """Starts from the files in `folder` instead, which become this owner's."""
        shutil.rmtree(self.work)
        folder.rename(self.work)
        self.epoch = epoch

    def beside(self, name: str) -> Path:
        """A new empty folder of this owner whose files are not the trial's."""
        folder = self.work.parent / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def files(self) -> Sequence[Path]:
        """This owner's finished files."""
        return _files(self.work)

    def snapshot(self) -> Sequence[Path]:
        """These files as they are now, whatever training does to them next: links in another folder."""
        folder = self.beside("snapshot")
        for path in _files(self.work):
            link(path, folder / path.name)
        return _files(folder)

    def note_unreported(self, unreported: Sequence[EpochResult]) -> None:
        """Writes down the results that the database does not have, in order, for the next owner."""
        results = [(result.epoch, result.epochs, result.score) for result in unreported]
        text = json.dumps({"study": self._study, "results": results})
        write_whole(self.work.parent / UNREPORTED, text)

    def publish(self, epoch: int, scores: Mapping[int, float]) -> None:
        """Publishes this owner's files after `epoch`. Call it only while the lease is confirmed.

        Args:
            scores: of the trial's epochs so far.
        """
        self.work.mkdir(parents=True, exist_ok=True)  # the objective may have removed it at its end
        with _blocks_freed_later() as keep:
            for path in _files(self.work):
                public = self.published / path.name
                if public.exists() and public.samefile(path):
                    continue  # unchanged; renaming a link over itself would leave `beside` behind
                beside = self.published / f".{path.name}{self.work.parent.name}"
                beside.unlink(missing_ok=True)
                link(path, beside)
                keep(public)
                beside.replace(public)
            self.epoch = epoch
            self._list_published()
            mark = self.work.parent / MARK
            mark.write_text(f"{self._study} {epoch} {json.dumps(list(scores.items()))}")
            mark.replace(self.published / MARK)
            (self.work.parent / UNREPORTED).unlink(missing_ok=True)

    def _list_published(self) -> None:
        """Adds the names of this trial's files to the study's list: what is not in it is a user's own."""
        listed = self.published.parent / PUBLISHED
        with listed.open("a+", encoding="utf-8", errors="surrogateescape") as file:
            file.seek(0)
            new = {path.name for path in _files(self.work)} - set(file.read().splitlines())
            file.writelines(f"{name}\n" for name in sorted(new))

    def close(self) -> None:
        """Removes this and earlier owners' folders: the trial has ended."""
        (self.published / MARK).unlink(missing_ok=True)
        for folder in self.published.glob(f"{WORK}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def leave(self) -> None:
        """Removes this owner's folder only: another worker continues the trial."""
        shutil.rmtree(self.work.parent, ignore_errors=True)

    def _inherit(self, owner: str) -> list[EpochResult]:
        """Copies what `owner` left, where some of its results are unreported; returns those results.

        It may be frozen and wake up, or be cut off and still train. It writes its note after each epoch's
        checkpoint: where the note is the same before and after copying, the copy is of the last epoch in
        it or of the next one.
        """
        left = self._folder_of(owner)
        with suppress(FileNotFoundError):  # it has reported meanwhile, or left
            while noted := self._noted(left):
                self._empty()
                for path in _files(left / self.published.name):
                    shutil.copy2(path, self.work / path.name)
                if self._noted(left) == noted:
                    unreported = [
                        EpochResult(epoch=epoch, epochs=epochs, score=score)
                        for epoch, epochs, score in noted
                    ]
                    self.note_unreported(unreported)  # this owner may die before it reports them
                    return unreported
        return []

    def _noted(self, folder: Path) -> list[tuple[int, int, float]]:
        noted = json.loads((folder / UNREPORTED).read_text())
        return noted["results"] if noted["study"] == self._study else []

    def _empty(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    def _folder_of(self, owner: str) -> Path:
        return self.published / f"{WORK}{owner[:8]}"

    def _marked(self) -> tuple[int, dict[int, float]]:
        """The published epoch and the scores up to it; an older version wrote no scores."""
        try:
            study, epoch, *scores = (self.published / MARK).read_text().split(maxsplit=2)
            marked = int(epoch), dict(json.loads(scores[0])) if scores else {}
        except (FileNotFoundError, ValueError):
            return 0, {}
        return marked if study == self._study else (0, {})


def check_folder(runs: Path) -> None:
    """Raises UserError where trials could not write; creates nothing."""
    existing = next(path for path in (runs, *runs.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise UserError(f"--runs: {existing} is a file; name a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"--runs: {existing} is not writable; name another folder")
    if (free := shutil.disk_usage(existing).free) < FREE_BYTES:
        raise UserError(f"--runs: {existing} has {free // 2**20} MB left; make room or name another folder")


def link(source: Path, target: Path) -> None:
    """Links a file, or copies it on a file system without hard links (exFAT, many network mounts)."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copy2(source, target)


@contextmanager
def _blocks_freed_later() -> Iterator[Callable[[Path], None]]:
    """Files passed to `keep` can be replaced in this block without waiting until their blocks are free.

    Freeing takes 28 ms for a checkpoint on an ext4 mounted with `discard`, and every other rename waits as
    well. An open file keeps its blocks and the last close frees them: a thread does that after this block.
    """
    kept: list[int] = []

    def keep(path: Path) -> None:
        with suppress(FileNotFoundError):
            kept.append(os.open(path, os.O_RDONLY))

    def close() -> None:
        for descriptor in kept:
            os.close(descriptor)

    try:
        yield keep
    finally:
        threading.Thread(target=close, name="free").start()


def _files(folder: Path) -> list[Path]:
    """Finished files: a leading dot or a trailing .tmp marks unfinished ones."""
    return [
        path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".tmp" and path.name != LOG
    ]
