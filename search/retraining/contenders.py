"""Which configs are retrained: the best trials of a search, and the baseline they are compared with."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.document.node import show
from search.errors import UserError, no_trial, none_complete
from search.loading import configure, describe, load_objective, vocabulary_of
from search.records import Record, candidates
from search.spec.known import BEST, same_name
from search.spec.spec import Spec
from search.study.plan import PlannedConfig
from search.study.study import Study

SPLIT_SEED = "split_seed"
"""Last part of the name of the constant with the seed of an objective's train/val split."""


def config_named(study: Study, records: Sequence[Record], name: str, flag: str) -> PlannedConfig:
    """The config that `name` means: a trial's number, `best`, or a known config, run or not.

    Raises:
        UserError: there is none; the message begins with `flag`.
    """
    if re.fullmatch(r"\d{1,9}", name):
        for record in records:
            if record.number == int(name) and record.params:
                return PlannedConfig.of(record)
        raise no_trial(flag, name, study.name)
    for known in study.spec.known:
        if same_name(known.name, name):
            ran = next((record for record in records if record.known == known.name), None)
            value = ran.value if ran and ran.state == "complete" else None
            number = ran.number if ran else None
            return PlannedConfig(name=known.name, number=number, params=dict(known.params), value=value)
    if name == BEST:
        return ranked(study, records)[0]
    names = ", ".join(repr(known.name) for known in study.spec.known) or "none"
    raise UserError(
        f"{flag}: {show(name)} is neither a trial's number, nor best, nor a known config of study "
        f"{study.name!r} (known: {names})"
    )


def ranked(study: Study, records: Sequence[Record]) -> list[PlannedConfig]:
    """The configs of the complete trials, best value first, without repeats: the best of several is luck.

    Raises:
        SearchError: there is none.
    """
    complete = candidates(records, study.spec.study.direction)
    if not complete:
        raise none_complete(study.name)
    configs: list[PlannedConfig] = []
    for record in complete:
        if all(record.params != config.params for config in configs):
            configs.append(PlannedConfig.of(record))
    return configs


def default_baseline(study: Study, records: Sequence[Record]) -> PlannedConfig:
    """The best of the known configs that completed."""
    known = [record for record in records if record.known]
    if not any(record.state == "complete" for record in known):
        raise UserError("--against: no known config has completed; name a trial's number or a known config")
    return ranked(study, known)[0]


def margin_of(spec: Spec) -> float | None:
    """The largest difference that does not matter, as the objective has it for the study's score."""
    return vocabulary_of(spec.objective, spec.study.score).smallest_difference


def check_margin(spec: Spec, flag: str, given: float | None) -> None:
    """Raises UserError for a difference that no two scores of the study can have."""
    low, high = vocabulary_of(spec.objective, spec.study.score).score_range
    if given is not None and given >= high - low:
        raise UserError(f"{flag}: {given:g} is no difference between scores from {low:g} to {high:g}")


def split_parameter(constants: Mapping[str, Any]) -> str:
    """The constant with the seed of the train/val split; UserError if there is none."""
    for name in constants:
        if name.rpartition(".")[2] == SPLIT_SEED:
            return name
    raise UserError(f"--splits: the objective has no constant called {SPLIT_SEED} that draws splits")


def split_sizes(spec: Spec, params: Mapping[str, Any], data: Path | None) -> tuple[int | None, int | None]:
    """Training and validation examples of a split, which is read from `data`; None if it is not described.

    Raises:
        DataError: the data cannot be read.
        UserError: every split would validate on the same examples.
    """
    objective = load_objective(spec.objective)
    description = describe(objective, configure(objective, {**spec.space.constants, **params}), data)
    if description is None:
        return None, None
    if description.fixed_val:
        raise UserError(
            f"--splits: {description.source} has a validation part of its own, on which every seed would "
            "validate; omit it"
        )
    return description.train, description.val
