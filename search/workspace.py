"""A trial's folder: the owner works in a folder of its own and publishes what its lease covers.

    runs/mseg/trial-0017/                             what was published: the last epoch confirmed
    runs/mseg/trial-0017/.work-3f2a91c0/trial-0017/   where the present owner trains

A worker that was taken for dead may still write for a while; it writes beside, never over what its
successor continues. Publishing links files instead of copying them: it costs no time and no space.
"""

import os
import shutil
from pathlib import Path

from search.errors import UserError

WORK = ".work-"
CHECKPOINTS = ("last.pt", "best.safetensors")


class Workspace:
    """The folder of trial `number` below `study_folder`, as worker `owner` sees it."""

    def __init__(self, study_folder: Path, number: int, owner: str) -> None:
        self.published = study_folder / f"trial-{number:04d}"
        # It bears the trial's name, which is what an objective may write down of its folder.
        self.work = self.published / f"{WORK}{owner[:8]}" / self.published.name

    def open(self) -> None:
        """Starts from what was published: copies, so that no predecessor's open file is shared."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        for path in _files(self.published):
            shutil.copy2(path, self.work / path.name)

    def publish(self) -> None:
        """Makes this owner's files the trial's. Call it only while the lease is confirmed."""
        for path in _files(self.work):
            public = self.published / path.name
            if public.exists() and public.samefile(path):
                continue  # unchanged since; and a rename over itself would leave `beside` behind
            beside = self.published / f".{path.name}{self.work.parent.name}"
            beside.unlink(missing_ok=True)
            os.link(path, beside)
            beside.replace(public)

    def close(self) -> None:
        """Removes this owner's folder, and those of owners before it: the trial has ended."""
        for folder in self.published.glob(f"{WORK}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def leave(self) -> None:
        """Removes this owner's folder only: somebody else goes on with the trial."""
        shutil.rmtree(self.work.parent, ignore_errors=True)


def check_folder(runs: Path) -> None:
    """Raises UserError where trials could not write; makes nothing."""
    there = next(path for path in (runs, *runs.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"--runs: {there} is a file; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"--runs: {there} cannot be written to; name another folder")


def drop_checkpoints(study_folder: Path, kept: set[int]) -> None:
    """Removes the checkpoints of all trials but `kept`; their curves, configs and logs stay."""
    for folder in study_folder.glob("trial-*"):
        if int(folder.name.removeprefix("trial-")) not in kept:
            for name in CHECKPOINTS:
                (folder / name).unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """Finished files: names with a leading dot or a trailing .tmp are somebody's unfinished work."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_file()
        and not path.name.startswith(".")
        and path.suffix != ".tmp"
        and path.name != "log.txt"
    ]
