"""Creates the study that `search start` works on, or joins the one that exists.

Only creation chooses document, profile and name. Joining takes what the study has: an option that differs
is refused with the difference, except for what --update may change.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.errors import SpaceError, StudyError, UserError
from search.loading import check_each, check_score, configure, constraints_of, describe, load_objective
from search.objective import Description
from search.pruners.registry import build_pruner
from search.retraining.stages import made_stages
from search.runtime.threads import threads_each
from search.samplers.ask import rehearse
from search.samplers.feasibility import check_feasible
from search.spec.spec import Spec, load_spec, stock_space
from search.study.create import create_study
from search.study.fingerprint import fingerprint_of
from search.study.folder import check_new_study, folder_of
from search.study.open import find_study, open_study
from search.study.origin import ORIGIN
from search.study.resolve import resolve_study
from search.study.study import Study
from search.study.warm_start import check_origin, inherit
from search.worker.watchdog import hang_seconds
from search.worker.workspace import check_folder
from storage import hours, studies
from storage.artifacts import check_place

LOCAL = Path("space.yaml")
QUICK = "quick"
UPDATABLE = ("study.sampler", "study.pruner", "study.target", "study.stop", "study.trials", "report.stages")
"""What changes how a study searches and is reported, not what its scores mean."""
NO_HOURS = "--gpu-hours: does not go with stages; each has its number of trainings instead"
LISTED = 4
"""Differences from a study that one message names."""


@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """The options of `search start`.

    Attributes:
        space: the document; None for ./space.yaml, or the stock one where there is none.
        trials: the total over all workers; None for what the study or the document says.
        gpu_hours: after which no new trial begins, above 0; None for what the study says.
        origin: a study whose trials a new one starts from.
        update: change what is UPDATABLE in a study that exists.
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
        """Whether there is anything that the study's document must agree with."""
        return self.space is not None or bool(self.overrides) or self.profile is not None or self.update

    def load(self, profile: str | None) -> Spec:
        """The document for a new study."""
        path = self.space or (LOCAL if LOCAL.exists() else stock_space())
        return _default_score_unnamed(load_spec(path, overrides=self.overrides, profile=profile))

    def load_for(self, study: Study) -> Spec:
        """What an existing study should be: without a file, its own document with the overrides."""
        if self.space is None and not LOCAL.exists():
            return _default_score_unnamed(study.spec.overridden(self.overrides))
        return self.load(study.row.profile)


def _default_score_unnamed(spec: Spec) -> Spec:
    """The same with no name for the objective's default score: studies that name it and others agree."""
    named = spec.study.score is not None and spec.study.score == spec.vocabulary.default_score
    return replace(spec, study=replace(spec.study, score=None)) if named else spec


def open_or_create(options: StartOptions) -> tuple[Study, list[str]]:
    """The study to work on, and sentences on what was decided.

    Raises:
        UserError: an option, the document or the data are wrong, or differ from the study that exists.
    """
    if options.gpu_hours is not None and not 0 < options.gpu_hours < math.inf:
        raise UserError(f"--gpu-hours: {options.gpu_hours} is not above 0; give hours, as in 1.5")
    threads_each()  # what workers would refuse is refused before there is a study
    check_folder(options.runs)
    hang_seconds()
    if options.artifacts is not None:
        check_place(options.artifacts)
    if (study := find_study(options.url, options.study)) is not None:
        return join(options, study, [])
    spec, name, notes = choose(options)
    check_stages(spec, options)
    if name != options.study and (study := find_study(options.url, name)) is not None:
        return join(options, study, notes)
    check_new_study(options.url, name, options.runs)
    description = probe(spec, options.data)
    trials = options.trials or spec.study.trials
    attributes: dict[str, Any] = {} if options.gpu_hours is None else {hours.LIMIT: options.gpu_hours}
    if options.origin is not None:
        if build_pruner(spec).for_sampler is not None:
            raise StudyError(
                f"--from: the {spec.study.pruner.kind} pruner has the sampler learn within brackets, to "
                "which no other study's trials belong; use another pruner or omit --from"
            )
        other = resolve_study(options.url, options.origin, read_only=True, flag="--from")
        constraints = constraints_of(load_objective(spec.objective), description)
        origin = inherit(other, spec, description, constraints)
        attributes[ORIGIN] = origin.to_document()
        notes.append(origin.sentence)
    if not create_study(options.url, name, spec, fingerprint_of(description), trials, attributes):
        # Another process created it in the meantime, perhaps from another document.
        return join(options, open_study(options.url, name), notes)
    notes += [*spec.notes, *spec.budget_notes(trials)]
    return open_study(options.url, name), [*notes, *(description.problems if description else ())]


def check_stages(spec: Spec, options: StartOptions) -> None:
    """Raises UserError where the stages of a new study do not go with another flag."""
    stages = spec.study.stages
    if stages and options.gpu_hours is not None:
        raise UserError(NO_HOURS)
    if stages and stages[-1].seeds and stages[-1].keep == 1 and not spec.known:
        raise spec.located(
            SpaceError(
                "study.stages: one config and no known one: nothing to compare it with; keep 2 or more",
                parameter="study.stages",
            )
        )


def choose(options: StartOptions) -> tuple[Spec, str, list[str]]:
    """The document and the name of a new study: without data the quick profile, under its own name."""
    spec = options.load(options.profile)
    if options.profile is not None or options.data is not None or QUICK not in spec.profiles:
        return spec, options.study, []
    name = f"{options.study.removesuffix(f'-{QUICK}')}-{QUICK}"
    stand_in = spec.vocabulary.stand_in
    note = (
        f"no data given: running the {QUICK} profile{stand_in and f' on {stand_in}'} as study {name!r}; "
        f"for the real search: search start --study {options.study} --data FOLDER"
    )
    return options.load(QUICK), name, [note]


def join(options: StartOptions, study: Study, notes: list[str]) -> tuple[Study, list[str]]:
    """The stored study, its budget set and with --update how it searches; `notes` and what is new.

    Raises:
        StudyError: an option differs from what the study was created with.
    """
    folder_of(study, options.runs)
    _check_agreement(options, study)
    if (options.trials is not None or options.update) and (later := made_stages(study)):
        raise StudyError(
            f"--study: stage 2 of {study.name!r} has begun ({later[0].name}), so what it chose from cannot "
            "change; omit --trials and --update, or use another name"
        )
    if options.has_document:
        _update_document(options, study)
    if options.trials is not None:
        studies.set_budget(study.engine, study.id, options.trials)
    if options.gpu_hours is not None:
        hours.set_limit(study.engine, study.id, options.gpu_hours)
    if study.row.stop is not None:
        studies.set_stop(study.engine, study.id, None)  # starting takes back a request to stop
    joined = open_study(options.url, study.name)
    total = joined.row.trials
    if options.trials not in (None, total):
        notes.append(f"--trials {options.trials}: {total} trials have already begun and are the total")
    return joined, notes


def _check_agreement(options: StartOptions, study: Study) -> None:
    if study.spec.study.stages and options.gpu_hours is not None:
        raise UserError(NO_HOURS)
    budget = options.trials if options.gpu_hours is None else options.gpu_hours
    if study.plan is not None and (options.has_document or budget is not None):
        raise StudyError(
            f"--study: {study.name!r} retrains trials of {study.plan.of!r} by a plan; omit these flags "
            f"to join it (search {study.plan.kind} sets the number of trainings)"
        )
    if options.origin is not None:
        check_origin(study, options.origin)
    if options.profile not in (None, study.row.profile):
        raise StudyError(
            f"--study: {study.name!r} was created with profile {study.row.profile} (asked: "
            f"{options.profile}); omit --profile to join it, or use another name"
        )


def _update_document(options: StartOptions, study: Study) -> None:
    """Refuses a document that differs from the study's; with --update stores what may change."""
    spec = options.load_for(study)
    different = differences(study.spec.document, spec.document)
    if options.trials is not None:
        different.pop("study.trials", None)  # --trials overrides it
    fixed = [line for name, line in different.items() if not name.startswith(UPDATABLE)]
    if fixed:
        raise StudyError(
            f"--study: {study.name!r} was created with {_listed(fixed)}; "
            "omit these flags to join it, or use another name"
        )
    if not different:
        return
    if not options.update:
        raise StudyError(
            f"--study: {study.name!r} has {_listed(list(different.values()))}; add --update to change that"
        )
    check_search(spec)
    resampled = any(name.startswith("study.sampler") for name in different)
    other_rule = any(name.startswith("study.stop") for name in different)
    studies.set_document(
        study.engine, study.id, spec.document, sampler_changed=resampled, stop_changed=other_rule
    )
    if "study.trials" in different:
        studies.set_budget(study.engine, study.id, spec.study.trials)


def differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """The values of two documents that differ, each with a sentence: `name stored (asked: other)`."""
    a, b = _leaves(stored), _leaves(given)
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
        entries = dict(document)
    elif isinstance(document, list) and document and all(isinstance(each, Mapping) for each in document):
        # Known configs and beliefs have names; stages count from 1.
        entries = {str(each.get("name", number)): each for number, each in enumerate(document, 1)}
    else:
        return {prefix.rstrip("."): document}
    parts = [_leaves(value, f"{prefix}{key}.") for key, value in entries.items()]
    return {name: value for part in parts for name, value in part.items()}


def check_search(spec: Spec) -> None:
    """Raises SpaceError where the study's sampler or pruner cannot be built, or fails at its first use.

    Or where its target is no score.
    """
    spec.check_goal()
    build_pruner(spec)
    rehearse(spec)


def probe(spec: Spec, data: Path | None) -> Description | None:
    """Has the objective configure every corner of the space and every known config, and describe its data.

    A refusal comes here, before a GPU is used and before anything is written.
    """
    check_search(spec)
    stages = [spec, *(spec.stage(index) for index in range(1, len(spec.study.stages)))]
    with spec.locating():
        objective = load_objective(spec.objective)
        check_score(spec.objective, spec.study.score)
        configs = [
            configure(objective, params)
            for each in stages
            for params in [*each.space.corners(), *each.known_params()]
        ]
        description = describe(objective, configs[0], data)
        check_each(objective, configs, description)
        check_feasible(spec, constraints_of(objective, description))
        return description
