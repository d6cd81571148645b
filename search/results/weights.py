"""Which weights a command means: those of a study's trial, here or in a store, or a file that is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from search.errors import UserError
from search.loading import STOCK, configure, load_objective
from search.objective import WEIGHTS
from search.records import Record
from search.results.winner import default_study, default_trial
from search.study.folder import folder_of, trial_name
from search.study.read import read_record, trained_params
from search.study.study import Study
from search.worker.cleanup import KEPT
from storage.artifacts import fetch, open_store
from storage.pages import Artifact


@dataclass(frozen=True, kw_only=True)
class ChosenWeights:
    """The weights that a command works with.

    Attributes:
        title: whose they are, in words. why: why these, where nobody named a trial; else empty.
        objective: the module that trained them. name: its name.
        config: what the objective made of the trial's parameters; None for weights without a study.
        params: the trial's parameters, constants included; empty without a study.
        path: the file, or the folder it is in.
        study, record: where they come from; None without a study.
    """

    title: str
    why: str = ""
    objective: Any
    name: str
    config: Any = None
    params: dict[str, Any]
    path: Path
    study: Study | None = None
    record: Record | None = None

    def part(self, function: str, command: str) -> Any:
        """A function of the objective; UserError if it has none."""
        return part_of(self.objective, self.name, function, command)


def part_of(objective: Any, name: str, function: str, command: str) -> Any:
    """A function that the objective called `name` may offer to `command`; UserError if it has none."""
    found = getattr(objective, function, None)
    if not callable(found):
        raise UserError(f"{command}: objective {name!r} has no {function}; see search/objective/results.py")
    return found


def named_weights(model: Path, objective: str | None) -> ChosenWeights:
    """The weights in a file or folder; `objective` as for `objective_without_study`.

    Raises:
        UserError: there is no such file or folder.
    """
    if not model.exists():
        raise UserError(f"--model: {model}: no such file or folder; name one with weights")
    name = objective_without_study(objective)
    return ChosenWeights(title=str(model), objective=load_objective(name), name=name, params={}, path=model)


def objective_without_study(allowed: str | None) -> str:
    """The objective where no study names one.

    Args:
        allowed: the modules of --objective. Of several it is the stock one, whose models may be of others.

    Raises:
        UserError: there are several, without the stock one.
    """
    names = [name.strip() for name in (allowed or STOCK).split(",") if name.strip()]
    if STOCK in names:
        return STOCK
    if len(names) != 1:
        raise UserError(f"--objective: {allowed}: without a study there can be only one; name that one")
    return names[0]


@contextmanager
def trial_weights(
    study: Study, number: int | None, runs: Path, artifacts: str | None
) -> Iterator[ChosenWeights]:
    """The weights of a trial of `study` for as long as this block lasts.

    Args:
        number: None: the trial that `default_study` and `default_trial` choose.
        artifacts: a store with the weights that are not on this machine.

    Raises:
        UserError: there is no such trial, or it has no weights.
    """
    why = ""
    if number is None:
        study = default_study(study)
        number, why = default_trial(study)
    record = read_record(study, number, "--trial")
    if not record.epochs:
        raise UserError(f"--trial: trial {number} of study {study.name!r} has trained no epoch yet")
    params = trained_params(study, record)
    objective = load_objective(study.spec.objective)
    with TemporaryDirectory(prefix="search-") as folder:
        place = folder_of(study, runs) / trial_name(number)
        path = find_weights(study, number, place, artifacts, Path(folder), "--trial")
        yield ChosenWeights(
            title=f"{record.title} of study {study.name}",
            why=why,
            objective=objective,
            name=study.spec.objective,
            config=configure(objective, params),
            params=params,
            path=path,
            study=study,
            record=record,
        )


def find_weights(
    study: Study, number: int, place: Path, artifacts: str | None, folder: Path, flag: str
) -> Path:
    """The file with a trial's weights: in its own folder `place`, or fetched from the store into `folder`.

    Raises:
        UserError: they are in neither.
    """
    path = place / WEIGHTS
    if path.is_file():
        return path
    fetched = folder / f"{number}-{WEIGHTS}"
    if artifacts is not None and _fetch(study, number, artifacts, fetched):
        return fetched
    raise UserError(
        f"{flag}: trial {number} has no weights here: {path} is missing; copy it from the machine that "
        f"trained it, name that folder's place with --runs, or the store that has it with --artifacts "
        f"(the {KEPT} best and the known configs keep theirs)"
    )


def _fetch(study: Study, number: int, artifacts: str, path: Path) -> bool:
    """Copies a trial's weights from a store; False if it has none."""
    artifact = Artifact.of(study.token, number, WEIGHTS)
    with path.open("wb") as file:
        return fetch(open_store(artifacts), artifact.id, file)
