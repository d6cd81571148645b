"""`search ablate A B`: which change between two configs makes the difference, retrained on the same seeds.

The configs are planned once, when the retraining study is made; the same command continues it.
"""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.analysis.changes import between, changes_between, combinations
from search.errors import UserError
from search.formatting import short_names
from search.retraining.contenders import config_named
from search.retraining.study import check_searches, prepare
from search.study.plan import FIRST, SEEDS, Plan, PlannedConfig
from search.study.read import read_records
from search.study.study import Study


@dataclass(frozen=True, kw_only=True)
class AblateRequest:
    """The flags of the command line; None means what the retraining study has, or the default.

    Attributes:
        a, b: a trial's number, a known config, or `best`. name: of the retraining study.
        seeds: per config, at most. trials: trainings over all configs, at most.
    """

    a: str
    b: str
    name: str | None = None
    seeds: int | None = None
    trials: int | None = None


def prepared(
    study: Study, request: AblateRequest, runs: Path, data: Path | None = None
) -> tuple[Study, list[str]]:
    """The retraining study with its next round planned, and sentences about what was decided.

    Args:
        data: the folder with the data; see `search.retraining.study.prepare`.

    Raises:
        StudyError: it was made with other flags, its folder below `runs` is another study's, or `study`
            itself retrains trials.
        UserError: there is no such config, or the two are equal.
    """
    check_searches(study)
    records = read_records(study)
    a, b = (config_named(study, records, name, "ablate") for name in (request.a, request.b))
    name = request.name or f"{study.name}-ablate-{_slug(a)}-{_slug(b)}"
    rule = {"a": a.name, "b": b.name, **({"seeds": request.seeds} if request.seeds else {})}
    plan = partial(choose, study, a, b, request)
    return prepare(study, name, runs, "ablate", rule, request.trials, plan, data)


def choose(
    study: Study, a: PlannedConfig, b: PlannedConfig, request: AblateRequest
) -> tuple[Plan, list[str]]:
    """The plan for a new retraining study."""
    space = study.spec.space
    changes = changes_between(space, a.params, b.params)
    if not changes:
        raise UserError(f"ablate: {a.name} and {b.name} are the same config; there is nothing to ablate")
    short = short_names(space.names)
    names = ["+".join(short[parameter] for parameter in change) for change in changes]
    configs = []
    for combination in combinations(changes):
        if len(combination) in (0, len(changes)):
            end = b if combination else a
            name, number, value, params = end.name, end.number, end.value, dict(end.params)
        else:
            name, number, value = " and ".join(names[index] for index in combination), None, None
            applied = {parameter for index in combination for parameter in changes[index]}
            params = between(space, a.params, b.params, applied)
        configs.append(
            PlannedConfig(name=name, number=number, params=params, value=value, changes=combination)
        )
    seeds = request.seeds or SEEDS
    plan = Plan(
        kind="ablate",
        of=study.name,
        configs=configs,
        first=min(FIRST, seeds),
        last=seeds,
        trials=request.trials,
        seed=study.spec.study.sampler.seed,
        asked={"a": a.name, "b": b.name, "seeds": seeds},
        changes=changes,
    )
    return plan, [f"{len(changes)} changes lie between {a.name} and {b.name}: {', '.join(names)}"]


def _slug(config: PlannedConfig) -> str:
    """A config's part of a study's name: its number, or the allowed characters of its name."""
    if config.number is not None:
        return str(config.number)
    return re.sub(r"[^A-Za-z0-9]+", "-", config.name).strip("-").lower()
