"""Deletes a study: its rows, the studies that retrain its trials, and its files below `--runs`."""

import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from search.errors import StudyError, listed
from search.loading import vocabulary_of
from search.objective import PICTURE
from search.recorded_run import CONFIG, HISTORY
from search.study.folder import OWNER, folder_of, trial_name
from search.study.open import open_study
from search.study.study import Study
from search.worker.checkpoint_sync import artifact_place
from search.worker.cleanup import CHECKPOINTS
from search.worker.workspace import LOG, MARK, PUBLISHED, WORK
from storage import pages, plans, reads
from storage.artifacts import open_store, remove
from storage.claims import Claimant
from storage.deletion import delete_studies
from storage.leases import LEASE_SECONDS
from storage.processes import Process


def with_retraining(url: str, name: str) -> list[Study]:
    """The study `name` and, behind it, those that retrain its trials: without it they mean nothing."""
    study = open_study(url, name)
    return [study, *(open_study(url, other) for other in plans.names(study.engine, name))]


def delete(
    doomed: Sequence[Study], runs: Path, artifacts: str | None, *, files: bool
) -> tuple[list[Path], list[Path]]:
    """Deletes the studies, and with `files` what they have written below `runs` and into the store.

    Returns:
        The folders that are gone, and what was left in others because no study wrote it.

    Raises:
        StudyError: a worker trains one of them, or with `files` a folder is another study's.
    """
    written = [_written(study, runs) for study in doomed] if files else []
    claimant = Claimant("", Process.current(), LEASE_SECONDS)
    living = delete_studies(doomed[0].engine, [study.id for study in doomed], claimant)
    if living:
        name = {study.id: study.name for study in doomed}
        which = listed([f"process {row.pid} on {row.host} ({name[row.study_id]})" for row in living])
        raise StudyError(
            f"--study: {doomed[0].name!r} has workers: {which}; "
            f"`search stop --now --study {name[living[0].study_id]}` has them leave, then delete it again"
        )
    gone, left = [], []
    for each in written:
        if remaining := each.remove():
            left += remaining
        else:
            gone.append(each.folder)
    if any(each.artifacts for each in written):
        store = open_store(artifact_place(artifacts, runs))
        for key in (key for each in written for key in each.artifacts):
            remove(store, key)
    return gone, left


@dataclass(frozen=True)
class Written:
    """What a study has written: its folder with these trials, and artifacts in the store.

    Attributes:
        names: of all files that a trial may have in its folder.
    """

    folder: Path
    numbers: Sequence[int]
    names: Collection[str]
    artifacts: Sequence[str]

    def remove(self) -> list[Path]:
        """Removes the files; returns what is left in the folder."""
        for number in self.numbers:
            trial = self.folder / trial_name(number)
            if trial.is_symlink() or not trial.is_dir():
                continue
            for path in trial.iterdir():
                if path.name.startswith(WORK) and path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name in self.names or (path.name.startswith(".") and WORK in path.name):
                    _remove_file(path)
            _remove_if_empty(trial)
        for pattern in ("workers/*.log", "report/report.*", "report/space.yaml", "report/figures/*.png"):
            for path in self.folder.glob(pattern):
                _remove_file(path)
        for name in ("workers", "report/figures", "report"):
            _remove_if_empty(self.folder / name)
        lists = [self.folder / OWNER, self.folder / PUBLISHED]
        remaining = [path for path in self.folder.rglob("*") if not path.is_dir() or path.is_symlink()]
        left = sorted(path for path in remaining if path not in lists)
        if not left:
            for path in lists:
                path.unlink(missing_ok=True)
            _remove_if_empty(self.folder)
        return left


def _written(study: Study, runs: Path) -> Written:
    folder = folder_of(study, runs)
    examples = vocabulary_of(study.spec.objective).examples_file
    names = {CONFIG, HISTORY, PICTURE, LOG, MARK, examples, *CHECKPOINTS}
    with suppress(FileNotFoundError):  # an older version kept no list
        published = (folder / PUBLISHED).read_text(encoding="utf-8", errors="surrogateescape")
        names |= set(published.splitlines())
    numbers = [row.number for row in reads.trial_rows(study.engine, study.id)]
    return Written(folder, numbers, names, pages.artifact_ids(study.engine, study.id))


def _remove_file(path: Path) -> None:
    with suppress(IsADirectoryError, PermissionError):  # a folder of the user's own, left like all of those
        path.unlink()


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # it is not there, a link, or not empty
        folder.rmdir()
