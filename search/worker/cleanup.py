"""Which checkpoints a study keeps: those of its best trials, of the known configs and of running trials."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path

from search.objective import WEIGHTS
from search.scoring import sign_of
from search.spec.spec import Spec
from search.study.folder import trial_name
from search.study.study import Study
from search.worker.checkpoint_sync import CheckpointSync
from storage import reads
from storage.reads import TrialRow

CHECKPOINTS = ("last.pt", WEIGHTS)
KEPT = 5
"""How many of the best trials keep theirs."""


def free_disk(study: Study, folder: Path, sync: CheckpointSync) -> None:
    """Removes the checkpoints of trials that can no longer win, on this machine and in a shared store."""
    numbers = never_needed(reads.trial_rows(study.engine, study.id), study.spec)
    drop_checkpoints(folder, numbers)
    sync.drop_weights(numbers)


def never_needed(rows: Sequence[TrialRow], spec: Spec) -> list[int]:
    """Numbers of the trials whose checkpoints nobody will need again.

    They have ended, are no known configs, and `KEPT` other trials are better. None of that changes while
    trials are added, so that a worker that was frozen for a while may still act on an old list.
    """
    sign = sign_of(spec.study.direction)
    ended = [row for row in rows if row.state not in ("RUNNING", "WAITING")]
    complete = [row for row in ended if row.state == "COMPLETE" and row.value is not None]
    best = sorted(complete, key=lambda row: (-sign * (row.value or 0.0), row.number))[:KEPT]
    return [row.number for row in ended if row not in best and row.slot >= len(spec.known)]


def drop_checkpoints(study_folder: Path, numbers: Iterable[int]) -> None:
    """Removes the checkpoints of these trials; their curves, configs and logs stay.

    What cannot be removed, such as another user's file, stays, too.
    """
    for number, name in product(numbers, CHECKPOINTS):
        with suppress(OSError):
            (study_folder / trial_name(number) / name).unlink(missing_ok=True)
