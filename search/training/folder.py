"""The folder of `search train`: it says what is trained in it, so that nothing else is continued there.

DIR/training.json   the request: objective, settings, number of epochs, data
DIR/seed-42/        one training, with the files that a trial leaves
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from search.document.node import show
from search.errors import UserError
from search.objective.files import write_whole
from search.training.request import TrainingRequest
from search.worker.workspace import check_folder

DOCUMENT = "training.json"
LOCK = ".lock"


@contextmanager
def claimed(out: Path, request: TrainingRequest) -> Iterator[None]:
    """`out` is this process's and this request's in this block; made if it is missing.

    Raises:
        UserError: it holds something else, another training's request, or another process works in it.
    """
    try:
        check_folder(out)
    except UserError as error:
        raise UserError(str(error).replace("--runs", "--out", 1)) from error
    path = out / DOCUMENT
    wanted: dict[str, Any] = {
        "objective": request.objective,
        "params": dict(request.params),
        "last": request.last,
        "all_data": request.all_data,
        "score": request.score,
        "smooth": request.smooth,
    }
    wanted = json.loads(json.dumps(wanted))  # as it is found again
    if path.exists():
        _compare(path, wanted)
    elif out.exists() and any(each.name != LOCK for each in out.iterdir()):
        raise UserError(f"--out: {out} holds something else; name a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(out / LOCK, timeout=0):
            write_whole(path, json.dumps(wanted, indent=1))
            yield
    except filelock.Timeout as error:
        raise UserError(f"--out: another process trains in {out}; wait, or name another folder") from error


def _compare(path: Path, wanted: dict[str, Any]) -> None:
    """Raises UserError with the first difference between what `path` says and what is wanted."""
    try:
        before, now = map(_flat, (json.loads(path.read_text()), wanted))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise UserError(f"--out: {path} cannot be read; name another folder") from error
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            raise UserError(
                f"--out: {path.parent} has a training with {name} {show(before.get(name))}, not "
                f"{show(now.get(name))}; name another folder"
            )


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    return {**document["params"], **document, "params": None}
