"""`search confirm`: is the best of a search better than the baseline when both are trained on fresh seeds?

Contenders, baseline and rule are chosen once, when the retraining study is made. The same command continues
it on this machine's workers; `search worker --study mseg-confirm` joins from other machines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from search.analysis import winners_curse
from search.errors import UserError
from search.loading import configure, load_objective
from search.retraining.contenders import (
    check_margin,
    config_named,
    default_baseline,
    margin_of,
    ranked,
    split_parameter,
    split_sizes,
)
from search.retraining.study import check_searches, prepare
from search.spec.spec import Spec
from search.study.plan import FIRST, SEEDS, Plan
from search.study.read import read_records, read_snapshot
from search.study.study import Study

SUFFIX = "-confirm"
TOP = 3  # contenders, by default


@dataclass(frozen=True, kw_only=True)
class ConfirmRequest:
    """The flags of the command line; None means what the retraining study has, or the default.

    Attributes:
        name: of the retraining study. top: number of contenders. against: the baseline.
        seeds: per config, at most. trials: trainings over all configs, at most.
        splits: whether every seed draws a train/val split of its own.
        margin: the largest difference that does not matter, above 0.
        overrides: `NAME=VALUE` of constants that are replaced, such as a larger image size.
    """

    name: str | None = None
    top: int | None = None
    against: str | None = None
    seeds: int | None = None
    trials: int | None = None
    splits: bool | None = None
    margin: float | None = None
    overrides: Sequence[str] = ()

    @property
    def rule(self) -> dict[str, Any]:
        """The flags given that cannot change once the retraining study is made."""
        flags = {
            "top": self.top,
            "against": self.against,
            "seeds": self.seeds,
            "splits": self.splits,
            "margin": self.margin,
            "set": " ".join(sorted(self.overrides)) or None,
        }
        return {flag: value for flag, value in flags.items() if value is not None}


def prepared(
    study: Study, request: ConfirmRequest, runs: Path, data: Path | None = None
) -> tuple[Study, list[str]]:
    """The retraining study with its next round planned, and sentences about what was decided.

    Args:
        data: the folder with the data; see `search.retraining.study.prepare`.

    Raises:
        StudyError: it was made with other flags, its folder below `runs` is another study's, or `study`
            itself retrains trials.
        UserError: the request does not fit the study.
    """
    check_searches(study)
    check_margin(study.spec, "--margin", request.margin)
    name = request.name or f"{study.name}{SUFFIX}"
    other = with_constants(study.spec, request.overrides) if request.overrides else None
    rule, trials = request.rule, request.trials
    plan = partial(choose, study, request, data, other or study.spec)
    return prepare(study, name, runs, "confirm", rule, trials, plan, data, other)


def with_constants(spec: Spec, overrides: Sequence[str]) -> Spec:
    """The document with other constants; SpaceError where the objective refuses a config with them."""
    other = spec.with_constants(overrides)
    objective = load_objective(other.objective)
    with other.locating():
        for params in other.space.corners():
            configure(objective, params)
    return other


def choose(study: Study, request: ConfirmRequest, data: Path | None, spec: Spec) -> tuple[Plan, list[str]]:
    """The plan for a new retraining study, whose document is `spec`."""
    records = read_records(study)
    baseline = (
        default_baseline(study, records)
        if request.against is None
        else config_named(study, records, request.against, "--against")
    )
    top = request.top or TOP
    others = [config for config in ranked(study, records) if config.params != baseline.params]
    contenders = others[:top]
    if not contenders:
        raise UserError(
            f"--against: {baseline.name} is the only config that completed; nothing to compare it with"
        )
    notes = []
    if len(contenders) < top:
        notes.append(f"only {len(contenders)} other configs have completed: they are the contenders")
    snapshot = read_snapshot(study)
    if not snapshot.budget.used_up:
        notes.append("the search has not ended: its current best are the contenders, and stay so")
    settings = study.spec.study
    seeds = request.seeds or SEEDS
    margin = margin_of(study.spec) if request.margin is None else request.margin
    split, train, val = None, None, None
    if request.splits:
        split = split_parameter(study.spec.space.constants)
        train, val = split_sizes(spec, baseline.params, data)
    plan = Plan(
        kind="confirm",
        of=study.name,
        configs=(baseline, *contenders),
        first=min(FIRST, seeds),
        last=seeds,
        trials=request.trials,
        seed=settings.sampler.seed,
        split=split,
        train=train,
        val=val,
        asked={
            "top": top,
            "against": request.against,
            "seeds": seeds,
            "splits": bool(request.splits),
            "margin": margin,
            "set": request.rule.get("set"),
        },
        predicted=winners_curse.predict(records, settings.smooth, settings.direction),
        values=winners_curse.values_of(records),
        errors="moderated",
        margin=margin,
    )
    if request.overrides:  # the search's values are of other constants: no curse can be seen in them
        configs = [replace(config, value=None) for config in plan.configs]
        plan = replace(plan, configs=configs, predicted=None, values=())
        notes.append(f"trained with {', '.join(request.overrides)}; the search was not")
    return plan, notes
