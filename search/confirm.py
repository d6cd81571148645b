"""`search confirm`: retrain a search's best and its baseline on the same fresh seeds, and say what is left.

Contenders, baseline and rule are chosen once, when the retraining study is made. The same command goes
on with it, on this machine's workers; `search worker --study mseg-confirm` joins from others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search import curse
from search.confirmation import Confirmation, confirmation
from search.contenders import config_named, default_baseline, ranked, split_parameter
from search.display import View
from search.errors import StudyError, UserError
from search.places import Place
from search.plan import Plan
from search.reading import read_records, read_snapshot
from search.retraining import advance, create, find, next_cells, read_results, set_limit
from search.start import Wanted, run
from search.study import Study, open_study
from storage import studies

SUFFIX = "-confirm"
TOP, SEEDS, FIRST = 3, 6, 3


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asked for; None for what the retraining study has, or the default.

    Attributes:
        name: of the retraining study. top: how many contenders. against: the baseline.
        seeds: of every config at most. trials: trainings over all configs at most.
        splits: whether every seed draws a train/val split of its own.
    """

    name: str | None = None
    top: int | None = None
    against: str | None = None
    seeds: int | None = None
    trials: int | None = None
    splits: bool | None = None

    @property
    def rule(self) -> dict[str, Any]:
        """What stays as it was when the retraining study was made."""
        said = {"top": self.top, "against": self.against, "seeds": self.seeds, "splits": self.splits}
        return {flag: value for flag, value in said.items() if value is not None}


def prepare(study: Study, asked: Asked) -> tuple[Study, list[str]]:
    """The retraining study, made or found, its next round planned; and sentences on what was decided.

    Raises:
        StudyError: it was made by another rule.
        UserError: what was asked for does not fit the study.
    """
    name = asked.name or f"{study.name}{SUFFIX}"
    notes: list[str] = []
    made = find(study, name)
    if made is None:
        plan, notes = choose(study, asked)
        made = create(study, name, plan)
    if (plan_there := made.plan) is None or plan_there.kind != "confirm":
        raise StudyError(f"--as: study {name!r} is no confirm; use another name")
    check_rule(name, plan_there, asked.rule)
    if asked.trials is not None and asked.trials != plan_there.trials:
        check_limit(asked.trials, plan_there)
        set_limit(made, plan_there, asked.trials)
    if made.row.stop is not None:
        studies.set_stop(made.engine, made.id, None)  # to go on is to take the wish to stop back
    advance(made)
    return open_study(study.url, name), notes


def choose(study: Study, asked: Asked) -> tuple[Plan, list[str]]:
    """The plan for a new retraining study."""
    records = read_records(study)
    baseline = (
        default_baseline(study, records)
        if asked.against is None
        else config_named(study, records, asked.against, "--against")
    )
    top = asked.top or TOP
    others = [config for config in ranked(study, records) if config.params != baseline.params]
    contenders = others[:top]
    if not contenders:
        raise UserError(
            f"--against: {baseline.name} is the only config that completed; nothing to hold against it"
        )
    notes = []
    if len(contenders) < top:
        notes.append(f"only {len(contenders)} other configs have completed: they are the contenders")
    snapshot = read_snapshot(study)
    if not snapshot.budget.used_up:
        notes.append("the search has not ended: its best of now are retrained, and stay the contenders")
    settings = study.spec.study
    seeds = asked.seeds or SEEDS
    plan = Plan(
        kind="confirm",
        of=study.name,
        configs=(baseline, *contenders),
        first=min(FIRST, seeds),
        last=seeds,
        trials=asked.trials,
        seed=settings.sampler.seed,
        split=split_parameter(study.spec.space.constants) if asked.splits else None,
        asked={
            "top": top,
            "against": asked.against,
            "seeds": seeds,
            "splits": bool(asked.splits),
        },
        predicted=curse.predict(records, settings.smooth, settings.direction),
    )
    if asked.trials is not None:
        check_limit(asked.trials, plan)
    return plan, notes


def check_rule(name: str, plan: Plan, rule: dict[str, Any]) -> None:
    """Raises StudyError where a flag differs from what the study was made with."""
    different = [
        f"--{flag} {plan.asked.get(flag)} (asked: {value})"
        for flag, value in rule.items()
        if plan.asked.get(flag) != value
    ]
    if different:
        raise StudyError(
            f"--study: {name!r} was made with {', '.join(different)}; leave the flag away to go on with "
            "it, or give --as NAME for another"
        )


def check_limit(trials: int, plan: Plan) -> None:
    """Raises UserError where not even the first decision could be paid."""
    least = plan.first * len(plan.configs)
    if trials < least:
        count = f"{len(plan.configs)} configs with {plan.first} seeds"
        raise UserError(f"--trials: {trials} are too few: {count} take {least}")


def answer(made: Study) -> Confirmation:
    """What the results say so far."""
    plan = made.plan
    if plan is None:
        raise StudyError(f"study {made.name!r} retrains nothing")
    results = read_results(made, plan)
    direction = made.spec.study.direction
    more = results.running or next_cells(plan, results, 1 if direction == "maximize" else -1)
    return confirmation(made.name, plan, results, direction, ended=not more)


def work(
    made: Study,
    runs: Path,
    data: Path | None,
    artifacts: str | None,
    workers: Sequence[Place],
    view: View,
) -> tuple[int, Sequence[str]]:
    """Trains what is planned, and what becomes planned, with this machine; an exit code and sentences."""
    wanted = Wanted(study=made.name, url=made.url, runs=runs, data=data, artifacts=artifacts)
    _, code, turned_away = run(made, wanted, workers, view)
    return code, turned_away
