"""The trackers that a study can be mirrored to, by the flag of `search mirror`."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from search.errors import UserError
from search.mirrors.trial import Mirror, mirrored
from search.study.read import read_records
from search.study.study import Study

MIRRORS: Mapping[str, str] = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "Wandb"}
"""The class of each tracker: of a place and a study's name. It is in the module of the flag's name."""


def open_mirror(tracker: str, place: str, study: str) -> Mirror:
    """The study in a tracker.

    Raises:
        UserError: the tracker's package is not installed, or `place` cannot be used.
    """
    if not place.strip():
        raise UserError(f"--{tracker}: is empty; name a place, as in --{tracker} mirror")
    try:
        module = import_module(f"search.mirrors.{tracker}")
    except ModuleNotFoundError as error:
        raise UserError(
            f"--{tracker}: the package {error.name} is not installed; pip install 'mseg-search[{tracker}]'"
        ) from error
    opened: Callable[[str, str], Mirror] = getattr(module, MIRRORS[tracker])
    return opened(place, study)


def mirror_once(study: Study, runs: Path, mirrors: list[Mirror]) -> int:
    """Adds to each mirror what it lacks; returns the number of epochs that were new, over all of them."""
    trials = list(mirrored(study, runs, read_records(study)))
    return sum(mirror.add(trial) for mirror in mirrors for trial in trials)
