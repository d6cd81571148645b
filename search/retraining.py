"""A study that retrains configs on fresh seeds: made beside the one that was searched, in its database.

It has that study's document, without a pruner, and its data's fingerprint; its budget is the number of
slots that are planned. Workers train it like any study. One that finds the budget used up looks whether
the race goes on (`advance`), so that nobody has to stay: any worker on any machine carries it on.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from search.errors import StudyError
from search.plan import Plan
from search.race import Cell, Results, affordable, next_round
from search.settings import PrunerSettings
from search.study import Study, create_study, find_study, open_study
from storage import plans, reads
from storage.plans import Slot

ENDED = ("COMPLETE", "PRUNED", "FAIL")


def create(study: Study, name: str, plan: Plan) -> Study:
    """The study `name` that follows `plan` for `study`; whoever created it first has set the plan.

    Raises:
        StudyError: `name` is a study that samples.
    """
    spec = study.spec
    settings = replace(spec.study, pruner=PrunerSettings("none"), trials=1)
    retrains = replace(spec, study=settings, known=(), avoid=())
    # Without a budget until it has a plan: who joins in between finds nothing to do.
    create_study(study.url, name, retrains, study.row.fingerprint, trials=0)
    made = open_study(study.url, name)
    if made.row.trials == 0:
        plans.create(made.engine, made.id, plan.to_json())
        advance(made)
    return open_study(study.url, name)


def find(study: Study, name: str) -> Study | None:
    """The retraining study `name`, where there is one with a plan for `study`."""
    found = find_study(study.url, name)
    if found is None or (found.plan is None and found.row.trials == 0):
        return None
    if found.plan is None or found.plan.of != study.name:
        what = "searches itself" if found.plan is None else f"retrains trials of {found.plan.of!r}"
        raise StudyError(f"--as: study {name!r} {what}; use another name")
    return found


def advance(study: Study) -> bool:
    """Plans the next round where the last one has ended and leaves something open.

    True where there is more to train, whoever planned it.
    """
    if study.plan is None:
        return False
    plan = Plan.from_json(plans.read(study.engine, study.id) or {})  # its limit may have been raised
    slots = plans.slots(study.engine, study.id)
    results = read_results(study, plan, slots)
    if results.running:
        return False
    cells = next_cells(plan, results, 1 if study.spec.study.direction == "maximize" else -1)
    more = [Slot(config, block, plan.fresh_seed(block)) for config, block in cells]
    if more:
        plans.append(study.engine, study.id, len(slots), more)
    return bool(more)


def next_cells(plan: Plan, results: Results, sign: int) -> list[Cell]:
    """What the plan trains after these results, all of them ended."""
    cells = next_round(results.scores, plan.first, plan.last, sign=sign)
    return affordable(cells, results.planned, plan.trials)


def read_results(study: Study, plan: Plan, slots: Sequence[Slot] | None = None) -> Results:
    """What has come of the plan so far.

    A training that diverged or ran out of memory counts with what it had reached, as in the search; one
    that reached nothing, or failed, has no value.
    """
    if slots is None:
        slots = plans.slots(study.engine, study.id)
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


def set_limit(study: Study, plan: Plan, trials: int) -> None:
    """Makes `trials` the most trainings that there may be over all configs."""
    plans.replace(study.engine, study.id, replace(plan, trials=trials).to_json())
