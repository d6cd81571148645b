"""Starting a search from Python, and following it. The workers are processes here, too."""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from search.api.places import PathLike, own_errors, place, runs_folder
from search.api.study import OpenStudy
from search.errors import UserError
from search.launcher.at_end import AtEnd, announce, read_at_end
from search.launcher.creation import StartOptions, open_or_create
from search.launcher.start import divide_cores, exit_code, outcome, started_stage
from search.launcher.supervisor import LocalWorkers, Supervisor
from search.records import Snapshot
from search.runtime.devices import find_devices
from search.runtime.signals import Interrupt
from search.study.open import open_study
from search.study.read import read_snapshot
from search.study.resolve import storage_url
from search.study.study import Study


@own_errors()
def start(
    name: str,
    storage: str | None = None,
    *,
    runs: PathLike | None = None,
    data: PathLike | None = None,
    artifacts: str | None = None,
    space: PathLike | None = None,
    overrides: Sequence[str] = (),
    profile: str | None = None,
    trials: int | None = None,
    workers: int | None = None,
    gpus: str | None = None,
    device: str | None = None,
) -> "RunningSearch":
    """Creates or joins a study, as `search start` does; its workers begin with the first snapshot.

    Without data the study may get another name: that of the quick profile.

    Args:
        name: of the study.
        storage: sqlite:///FILE or postgresql://USER@HOST/NAME; by default SEARCH_STORAGE, or a SQLite file
            in `runs`.
        runs: the folder for what trials write; by default SEARCH_RUNS, or `runs`.
        data: the data folder; by default SEARCH_DATA.
        artifacts: where checkpoints of all machines go; by default SEARCH_ARTIFACTS.
        space: the document; by default ./space.yaml, or the stock one.
        overrides: of the document: `data.image_size=96`.
        profile: of the document.
        trials: the total over all workers and all calls, 1 or more.
        workers: worker processes; by default one per GPU, or on a CPU as many as pay.
        gpus: `auto`, `none`, or indices: `0,1`; by default SEARCH_GPUS, or auto.
        device: a torch device in place of GPUs: `cpu`, `mps`; by default SEARCH_DEVICE.

    Raises:
        UserError: an option, the document or the data are wrong; nothing was written.
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers: {workers} is below 1; omit it, or give 1 or more")
    if trials is not None and trials < 1:
        raise UserError(f"trials: {trials} is below 1")
    folder = runs_folder(runs)
    options = StartOptions(
        study=name,
        url=storage_url(storage, folder),
        runs=folder,
        data=place(data, "SEARCH_DATA"),
        artifacts=artifacts or os.environ.get("SEARCH_ARTIFACTS") or None,
        space=None if space is None else Path(space),
        overrides=overrides,
        profile=profile,
        trials=trials,
    )
    devices = find_devices(
        gpus or os.environ.get("SEARCH_GPUS") or "auto",
        workers,
        device or os.environ.get("SEARCH_DEVICE") or None,
    )
    at_end = read_at_end(os.environ.get("SEARCH_ON_END"))
    study, notes = open_or_create(options)
    if workers is None and not read_snapshot(study).budget.used_up:
        devices = divide_cores(devices, study)
    return RunningSearch(
        study, LocalWorkers(devices, folder, options.data, options.artifacts), at_end, notes
    )


class RunningSearch(AbstractContextManager["RunningSearch"], Iterator[Snapshot]):
    """A search on this machine: an iterator of its snapshots, about one a second.

    The iterator ends with the budget. `close`, the end of a `with` block, or an exception in the loop has
    the workers save their checkpoints and give their trials back: `start` resumes them. Without `with`,
    the same happens when nobody refers to the iterator any more, or this process ends.

    Attributes:
        notes: sentences on what was decided as the study was created or joined.
    """

    def __init__(self, study: Study, workers: LocalWorkers, at_end: AtEnd, notes: Sequence[str]) -> None:
        self.notes = tuple(notes)
        self._search = study
        self._workers = workers
        self._at_end = at_end
        self._snapshots = self._follow()

    @property
    def study(self) -> OpenStudy:
        return OpenStudy(
            open_study(self._search.url, self._search.name, read_only=True), self._workers.runs
        )

    @own_errors()
    def __next__(self) -> Snapshot:
        """The study as it is now.

        Raises:
            SearchError: it cannot go on: a worker reports wrong input or crashes again and again, or
                three trials in a row failed.
        """
        return next(self._snapshots)

    def close(self) -> None:
        """Has the workers leave; returns when they have. Does nothing the second time."""
        self._snapshots.close()

    def __exit__(self, *error: object) -> None:
        self.close()

    def _follow(self) -> Generator[Snapshot, None, None]:
        """The search and its later stages; what is to happen at the end of the study happens here, too."""
        stage: Study | None = self._search
        try:
            while stage is not None:
                snapshot = read_snapshot(stage)
                if snapshot.budget.used_up:
                    yield snapshot
                    code = exit_code(snapshot)
                else:
                    supervisor = Supervisor(stage, self._workers)
                    for snapshot in supervisor.supervise(Interrupt()):
                        yield snapshot
                    code = outcome(snapshot, supervisor, len(self._workers.devices))
                stage = started_stage(stage, self._workers.data) if code == 0 else None
        finally:  # also where bugs have stopped it
            announce(self._search, self._at_end)
