"""`search start`: create the study or join it, run this machine's workers, show what happens.

Only creation chooses: the document, the profile, the name. Who joins takes what the study has; what was
asked for and differs is refused with the difference, but for what `update` may change.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import SearchError, SpaceError, StudyError, UserError
from search.launcher.supervisor import Supervisor
from search.objective import Description, configure, describe, load_objective
from search.pruners.registry import build_pruner
from search.records import Snapshot
from search.runtime.devices import Place
from search.runtime.signals import interruptible
from search.samplers.ask import rehearse
from search.spec.grid import shortage
from search.spec.spec import Spec, load_spec, stock_space
from search.study.create import create_study
from search.study.fingerprint import fingerprint_of
from search.study.open import find_study, open_study
from search.study.origin import ORIGIN
from search.study.read import read_snapshot
from search.study.resolve import resolve_study
from search.study.study import Study
from search.study.warm_start import check_origin, inherit
from search.ui.live import View
from search.worker.workspace import check_folder
from storage import engine as engines
from storage import hours, studies
from storage.artifacts import check_place

LOCAL = Path("space.yaml")
QUICK = "quick"
UPDATABLE = ("study.sampler", "study.pruner", "study.target", "study.trials", "report.stages")
"""What changes how a study searches and is reported, not what its scores mean."""
LISTED = 4
"""How many differences from a study are said at once."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asked for.

    Attributes:
        space: the document; None for ./space.yaml, or the stock one where there is none.
        trials: the total over all workers; None for what the study or the document says.
        gpu_hours: after which no new trial begins, above 0; None for what the study says.
        origin: a study whose trials a new one starts from.
    """

    study: str
    url: str
    runs: Path
    data: Path | None
    artifacts: str | None = None
    space: Path | None = None
    overrides: Sequence[str] = ()
    profile: str | None = None
    trials: int | None = None
    gpu_hours: float | None = None
    origin: str | None = None
    update: bool = False

    @property
    def has_document(self) -> bool:
        """Whether something was asked for that the study's document must agree with."""
        return self.space is not None or bool(self.overrides) or self.profile is not None or self.update

    @property
    def budgets(self) -> bool:
        """Whether a budget was asked for."""
        return self.trials is not None or self.gpu_hours is not None

    def load(self, profile: str | None) -> Spec:
        """The document for a new study."""
        path = self.space or (LOCAL if LOCAL.exists() else stock_space())
        return load_spec(path, overrides=self.overrides, profile=profile)

    def load_for(self, study: Study) -> Spec:
        """What a study that is there should be: its own document with the overrides, where no file is."""
        if self.space is None and not LOCAL.exists():
            return study.spec.overridden(self.overrides)
        return self.load(study.row.profile)


def open_or_create(wanted: Wanted) -> tuple[Study, list[str]]:
    """The study to work on, and sentences on what was decided."""
    if wanted.gpu_hours is not None and not 0 < wanted.gpu_hours < math.inf:
        raise UserError(f"--gpu-hours: {wanted.gpu_hours} is not above 0; give hours, as in 1.5")
    check_folder(wanted.runs)
    if wanted.artifacts is not None:
        check_place(wanted.artifacts)
    study = find_study(wanted.url, wanted.study)
    if study is not None:
        return joined(wanted, study)
    spec, name, notes = choose(wanted)
    if name != wanted.study and (study := find_study(wanted.url, name)) is not None:
        return joined(wanted, study, notes)
    description = probe(spec, wanted.data)
    trials = wanted.trials or spec.study.trials
    attributes: dict[str, Any] = {} if wanted.gpu_hours is None else {hours.LIMIT: wanted.gpu_hours}
    if wanted.origin is not None:
        origin = inherit(resolve_study(wanted.url, wanted.origin, read_only=True), spec, description)
        attributes[ORIGIN] = origin.to_document()
        notes = [*notes, origin.sentence]
    if not create_study(wanted.url, name, spec, fingerprint_of(description), trials, attributes):
        # Somebody else was faster, perhaps with another document.
        return joined(wanted, open_study(wanted.url, name), notes)
    short = shortage(spec.space, trials)
    return open_study(wanted.url, name), [
        *notes,
        *spec.notes,
        *([short] if short else []),
        *(description.problems if description else ()),
    ]


def choose(wanted: Wanted) -> tuple[Spec, str, list[str]]:
    """Which profile a new study gets, and which name: without data the quick one, under its own name."""
    spec = wanted.load(wanted.profile)
    if wanted.profile is not None or wanted.data is not None or QUICK not in spec.profiles:
        return spec, wanted.study, []
    name = f"{wanted.study.removesuffix(f'-{QUICK}')}-{QUICK}"
    note = (
        f"no data given: running the {QUICK} profile on drawn faces as study {name!r}; "
        f"for the real search: search start --study {wanted.study} --data FOLDER"
    )
    return wanted.load(QUICK), name, [note]


def joined(wanted: Wanted, study: Study, notes: Sequence[str] = ()) -> tuple[Study, list[str]]:
    """The stored study as `join` leaves it; a sentence where that is not the budget that was asked for."""
    found = join(wanted, study)
    total = found.row.trials
    if wanted.trials in (None, total):
        return found, [*notes]
    return found, [*notes, f"--trials {wanted.trials}: {total} trials have begun already and are the total"]


def join(wanted: Wanted, study: Study) -> Study:
    """Takes the stored study; changes its budget, and with `update` how it searches."""
    if study.plan is not None and (wanted.has_document or wanted.budgets):
        raise StudyError(
            f"--study: {study.name!r} retrains trials of {study.plan.of!r} by a plan; leave these flags "
            f"away to join it (search {study.plan.kind} says how many trainings there are)"
        )
    if wanted.origin is not None:
        check_origin(study, wanted.origin)
    if wanted.profile not in (None, study.row.profile):
        raise StudyError(
            f"--study: {study.name!r} was created with profile {study.row.profile} (asked: "
            f"{wanted.profile}); leave this flag away to join it, or use another name"
        )
    if wanted.has_document:
        spec = wanted.load_for(study)
        different = differences(study.spec.document, spec.document)
        if wanted.trials is not None:
            different.pop("study.trials", None)  # the flag says how many
        fixed = [line for name, line in different.items() if not name.startswith(UPDATABLE)]
        if fixed:
            raise StudyError(
                f"--study: {study.name!r} was created with {_listed(fixed)}; "
                "leave these flags away to join it, or use another name"
            )
        if different and not wanted.update:
            raise StudyError(
                f"--study: {study.name!r} has {_listed(list(different.values()))}; "
                "add --update to change that"
            )
        if different:
            check_search(spec)
            studies.set_document(study.engine, study.id, spec.document)
        if "study.trials" in different:
            studies.set_budget(study.engine, study.id, spec.study.trials)
    if wanted.trials is not None:
        studies.set_budget(study.engine, study.id, wanted.trials)
    if wanted.gpu_hours is not None:
        engines.complete(wanted.url)
        hours.set_limit(study.engine, study.id, wanted.gpu_hours)
    if study.row.stop is not None:
        studies.set_stop(study.engine, study.id, None)  # to start is to take the wish to stop back
    return open_study(wanted.url, study.name)


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, str]:
    """Leaves of two documents that are not equal, each with a sentence: `name stored (asked: other)`."""
    a, b = _leaves(stored), _leaves(asked)
    return {
        name: f"{name.removeprefix('space.')} {a.get(name)} (asked: {b.get(name)})"
        for name in sorted({*a, *b}, key=lambda name: (name != "objective", name))
        if a.get(name) != b.get(name)
    }


def _listed(differences: Sequence[str]) -> str:
    more = len(differences) - LISTED
    return "; ".join(differences[:LISTED]) + (f"; and {more} more" if more > 0 else "")


def _leaves(document: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(document, Mapping) and document:
        inside = dict(document)
    elif isinstance(document, list) and all(isinstance(entry, Mapping) for entry in document):
        inside = {entry["name"]: entry for entry in document}  # known configs, beliefs
    else:
        return {prefix.rstrip("."): document}
    parts = [_leaves(value, f"{prefix}{key}.") for key, value in inside.items()]
    return {name: value for part in parts for name, value in part.items()}


def check_search(spec: Spec) -> None:
    """Raises SpaceError where the study's sampler or pruner cannot be built, or fails at its first use."""
    build_pruner(spec)
    rehearse(spec)


def probe(spec: Spec, data: Path | None) -> Description | None:
    """Has the objective take every corner of the space and every known config, and describe its data.

    What it refuses is refused here, before a GPU is touched and before anything is written.
    """
    check_search(spec)
    corners = list(spec.space.corners())
    try:
        objective = load_objective(spec.objective)
        for params in [*corners, *spec.known_params()]:
            configure(objective, params)
        return describe(objective, configure(objective, corners[0]), data)
    except SpaceError as error:
        raise spec.located(error) from error


def run(
    study: Study, wanted: Wanted, workers: Sequence[Place], view: View
) -> tuple[Snapshot, int, Sequence[str]]:
    """Works on the study with this machine until its budget is used up.

    Returns:
        Its end, an exit code, and sentences of workers that found no free GPU.
    """
    snapshot = read_snapshot(study)
    if snapshot.budget.used_up:
        return snapshot, outcome(snapshot), ()
    with interruptible() as interrupt, view:
        supervisor = Supervisor(study, workers, wanted.runs, wanted.data, wanted.artifacts)
        for snapshot in supervisor.supervise(interrupt):
            view.update(snapshot)
    if interrupt:
        return snapshot, interrupt.code, ()
    idle = len(supervisor.turned_away) == len(workers)  # nobody worked, and nothing failed
    return snapshot, 0 if idle else outcome(snapshot), supervisor.turned_away


def outcome(snapshot: Snapshot) -> int:
    """The exit code of a search that nobody interrupted."""
    if snapshot.stop == "bugs":
        raise SearchError(
            f"study {snapshot.study!r}: three trials failed in a row; the last: {last_failure(snapshot)}; "
            f"see search trials --study {snapshot.study}, then search start again"
        )
    return 0 if snapshot.budget.complete else 1


def last_failure(snapshot: Snapshot) -> str:
    failed = [record for record in snapshot.finished if record.state == "failed" and record.reason]
    return failed[-1].reason.text.splitlines()[-1] if failed and failed[-1].reason else "unknown"
