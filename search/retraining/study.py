"""A study that retrains configs on fresh seeds, in the database of the study that was searched.

It has that study's document, without a pruner, and its data's fingerprint; its budget is the number of
planned slots. Workers train it like any study. A worker that finds the budget used up checks whether the
race continues (`advance`), so no coordinator has to stay: any worker on any machine carries it on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from search.analysis import effects, racing
from search.analysis.confirmation import rule_of
from search.analysis.racing import Cell, Results
from search.errors import StudyError, UserError
from search.loading import configure, constraints_of, describe, load_objective
from search.samplers.feasibility import Feasibility
from search.scoring import Direction, sign_of
from search.spec.grid import point
from search.spec.settings import PrunerSettings
from search.spec.spec import Spec
from search.study.create import create_study
from search.study.fingerprint import fingerprint_of
from search.study.folder import check_new_study, folder_of
from search.study.open import find_study, open_study
from search.study.plan import Kind, Plan
from search.study.study import Study
from storage import plans, reads, studies
from storage.plans import Slot

ENDED = ("COMPLETE", "PRUNED", "FAIL")


def prepare(
    study: Study,
    name: str,
    runs: Path,
    kind: Kind,
    rule: Mapping[str, Any],
    trials: int | None,
    choose: Callable[[], tuple[Plan, list[str]]],
    data: Path | None = None,
    other: Spec | None = None,
) -> tuple[Study, list[str]]:
    """The retraining study `name`, made or found, with its next round planned; and sentences for the user.

    Args:
        runs: where its folder is, which must be no other study's.
        rule: the flags given, which must be those it was made with.
        trials: trainings over all configs, at most; None: what it has.
        choose: makes the plan of a new one, and sentences about what was decided.
        data: the folder with the data, which tell whether configs that were never tried are feasible.
        other: as for `create`.

    Raises:
        StudyError: it is another kind of study, was made with other flags, or would retrain an infeasible
            config.
        UserError: `trials` does not even cover the first decision.
    """
    notes: list[str] = []
    retraining = find(study, name)
    if retraining is None:
        check_new_study(study.url, name, runs, flag="--as")
        plan, notes = choose()
        check_limit(trials, plan)
        check_plan(study, plan, data)
        retraining = create(study, name, plan, other, data)
    folder_of(retraining, runs)
    stored = retraining.plan
    if stored is None or stored.kind != kind:
        raise StudyError(f"--as: study {name!r} is no {kind}; use another name")
    check_rule(name, stored, rule)
    if trials is not None and trials != stored.trials:
        check_limit(trials, stored)
        plans.replace(retraining.engine, retraining.id, replace(stored, trials=trials).to_json())
    if retraining.row.stop is not None:
        studies.set_stop(retraining.engine, retraining.id, None)  # continuing withdraws a request to stop
    advance(retraining)
    return open_study(study.url, name), notes


def check_searches(study: Study) -> None:
    """Raises StudyError if the study itself retrains trials: its configs are another study's."""
    if study.plan is not None:
        raise StudyError(f"--study: {study.name!r} retrains trials of {study.plan.of!r}; name that study")


def check_rule(name: str, plan: Plan, rule: Mapping[str, Any]) -> None:
    """Raises StudyError if a flag differs from what the study was made with."""
    different = [
        f"--{flag} {plan.asked.get(flag)} (given: {value})"
        for flag, value in rule.items()
        if plan.asked.get(flag) != value
    ]
    if different:
        raise StudyError(
            f"--as: study {name!r} was made with {', '.join(different)}; omit the flag to continue it, "
            "or give --as NAME for another study"
        )


def check_limit(trials: int | None, plan: Plan) -> None:
    """Raises UserError if `trials` does not even cover the first decision."""
    least = plan.first * plan.opening
    if trials is not None and trials < least:
        count = f"{plan.opening} configs with {plan.first} seeds"
        raise UserError(f"--trials: {trials} is too few: {count} need {least}")


def check_plan(study: Study, plan: Plan, data: Path | None) -> None:
    """Raises StudyError if a constraint of the study refuses a config that is planned."""
    tried = study.samples.checked()
    space = study.spec.space
    untried = [config for config in plan.configs if point(space, config.params) not in tried]
    if not tried or not untried:  # a study with constraints has held its trials against them
        return
    objective = load_objective(study.spec.objective)
    example = configure(objective, {**space.constants, **untried[0].params})
    constraints = constraints_of(objective, describe(objective, example, data))
    feasibility = Feasibility(space, constraints)
    for config in untried:
        if not feasibility.of(config.params).feasible:
            raise StudyError(f"{plan.kind}: {config.name}: {feasibility.reason}")


def create(
    study: Study,
    name: str,
    plan: Plan,
    other: Spec | None = None,
    data: Path | None = None,
) -> Study:
    """The study `name` that follows `plan` for `study`; the plan is that of whoever created it first.

    Args:
        other: the document with other constants, if they are not the study's own. data: the data folder,
            which is read for it: an image size changes what the data are.

    Raises:
        StudyError: `name` is a study that searches. DataError: the data cannot be read.
    """
    spec = other or study.spec
    settings = replace(spec.study, pruner=PrunerSettings("none"), trials=1, stages=(), stop=None)
    retrains = replace(spec, study=settings, known=(), avoid=())
    fingerprint = study.row.fingerprint
    if other is not None:
        objective = load_objective(spec.objective)
        config = configure(objective, next(spec.space.corners()))
        fingerprint = fingerprint_of(describe(objective, config, data))
    # No budget until there is a plan: a worker that joins in between finds nothing to do.
    create_study(study.url, name, retrains, fingerprint, trials=0)
    retraining = open_study(study.url, name)
    if retraining.row.trials == 0:
        token = retraining.token.hex
        draw = f"{study.token.hex} {plan.kind} {token}"
        if plan.stage is None:
            plans.count(study.engine, study.id, token, plan.kind)
        plans.create(retraining.engine, retraining.id, replace(plan, draw=draw).to_json())
        advance(retraining)
    return open_study(study.url, name)


def find(study: Study, name: str) -> Study | None:
    """The retraining study `name`, if there is one with a plan for `study`."""
    other = find_study(study.url, name, flag="--as")
    if other is None or (other.plan is None and other.row.trials == 0):
        return None
    if other.plan is None or other.plan.of != study.name:
        what = "searches" if other.plan is None else f"retrains trials of {other.plan.of!r}"
        raise StudyError(f"--as: study {name!r} {what}; use another name")
    return other


def advance(study: Study) -> bool:
    """Plans the next round if the last one has ended and leaves something undecided.

    True if there is more to train, whoever planned it.
    """
    plan = current_plan(study)
    if plan is None:
        return False
    slots = plans.slots(study.engine, study.id)
    results = read_results(study, plan, slots)
    if results.running:
        return False
    cells = next_cells(plan, results, study.spec.study.direction)
    more = [Slot(config, block, plan.fresh_seed(block)) for config, block in cells]
    if more:
        plans.append(study.engine, study.id, len(slots), more)
    return bool(more)


def current_plan(study: Study) -> Plan | None:
    """Its plan as stored now, since the limit may have been raised; None for a study that searches."""
    stored = plans.read(study.engine, study.id)
    return None if stored is None else Plan.from_json(stored)


def next_cells(plan: Plan, results: Results, direction: Direction) -> list[Cell]:
    """What the plan trains next, after these results, all of which have ended."""
    if plan.kind == "stage":
        return [] if results.planned else [(config, 0) for config in range(len(plan.configs))]
    if plan.kind == "confirm":
        cells = racing.next_round(results.scores, plan.first, plan.last, rule_of(plan), sign_of(direction))
    else:
        combinations = [config.changes for config in plan.configs]
        cells = effects.next_round(results.scores, combinations, plan.opening, plan.first, plan.last)
    return racing.affordable(cells, results.planned, plan.trials)


def standing(study: Study) -> tuple[Plan, Results, bool]:
    """The plan of a study that retrains, its results, and whether nothing more will be planned.

    Raises:
        StudyError: it searches.
    """
    plan = current_plan(study)
    if plan is None:
        raise StudyError(f"study {study.name!r} retrains nothing")
    results = read_results(study, plan, plans.slots(study.engine, study.id))
    more = results.running or next_cells(plan, results, study.spec.study.direction)
    return plan, results, not more


def read_results(study: Study, plan: Plan, slots: Sequence[Slot]) -> Results:
    """The results of the plan, which has `slots` by now.

    A training that diverged or ran out of memory counts with the value it had reached, as in the search;
    one that reached nothing, or failed, has no value.
    """
    ended = {
        row.slot: row.attributes.get("mean", row.value)
        for row in reads.trial_rows(study.engine, study.id)
        if row.state in ENDED
    }
    blocks = max((slot.block + 1 for slot in slots), default=0)
    scores = np.full((len(plan.configs), blocks), np.nan)
    for number, slot in enumerate(slots):
        if (value := ended.get(number)) is not None:
            scores[slot.config, slot.block] = value
    return Results(
        scores=scores,
        planned=len(slots),
        running=len(slots) - len(ended),
        lost=sum(value is None for value in ended.values()),
        rounds=min(
            (slot.block for number, slot in enumerate(slots) if number not in ended), default=blocks
        ),
    )


def retraining_studies(study: Study) -> dict[Kind, list[Study]]:
    """The studies that retrain trials of this one, by kind, the oldest first; stages are none of them."""
    by_kind: dict[Kind, list[Study]] = {"confirm": [], "ablate": []}
    for name in plans.names(study.engine, study.name):
        other = open_study(study.url, name, read_only=True)
        if other.plan and other.plan.stage is None:
            by_kind[other.plan.kind].append(other)
    return by_kind


def deleted_races(study: Study, races: Sequence[Study]) -> int:
    """How many confirmations of this study have been deleted; `races` are those that have not."""
    counted = plans.counted(study.engine, study.id)
    tokens = {each.token.hex for each in races} if counted else set()
    return sum(kind == "confirm" and token not in tokens for token, kind in counted.items())
