"""A recorded run -> an entry for `known` of space.yaml: its settings by the names of a study's space.

A run's names need not be the study's (`training.scheduler: CosineAnnealingLR` is `schedule.kind: cosine`).
A name is matched as it is, or else by its last part if only one setting has it. What is left out is
reported: constants of the study that had other values in the run, and settings that the space has no name
for. A known config runs under the study's protocol, not the run's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.document.node import show
from search.errors import SpaceError, UserError
from search.objective import Value, Vocabulary
from search.recorded_run import RecordedRun
from search.spec.parameter import same
from search.spec.space import Space


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """A known config.

    Attributes:
        params: a value for every parameter that exists in it.
        left_out: a sentence about what it leaves out of the run; empty if nothing.
    """

    name: str
    params: Mapping[str, Value]
    left_out: str

    def to_document(self) -> dict[str, Any]:
        return {"name": self.name, **self.params}


def known_from(run: RecordedRun, space: Space) -> KnownEntry:
    """The known config of `space` closest to what `run` was trained with.

    Raises:
        UserError: a parameter has no value in the run, or one outside the space.
    """
    params: dict[str, Value] = {}
    used = set()
    for parameter in space.parameters:
        if not parameter.active({**space.constants, **params}):
            continue
        leaf = leaf_of(parameter.name, run)
        if leaf is None:
            raise UserError(f"{run.name}: has no {parameter.name}; a known config needs one")
        try:
            params[parameter.name] = parameter.cast(_value(run, leaf, parameter.choices))
        except SpaceError as error:
            raise UserError(f"{run.name}: {leaf} does not fit the study: {error}") from error
        used.add(leaf)
    others = []
    for name, constant in space.constants.items():
        leaf = leaf_of(name, run)
        if leaf is None or leaf in used:
            continue
        used.add(leaf)
        if not same(constant, _value(run, leaf, (constant,))):
            others.append(f"{name} {show(constant)} (in the run {show(run.leaves[leaf])})")
    left_out = []
    if others:
        left_out.append(f"the study has {', '.join(others)}")
    if unknown := [leaf for leaf in run.leaves if leaf not in used]:
        left_out.append(f"it has no name for {', '.join(unknown)}")
    return KnownEntry(run.name, params, "; ".join(left_out))


def leaf_of(name: str, run: RecordedRun) -> str | None:
    """The setting of a run that the space calls `name`."""
    if name in run.leaves:
        return name
    last = _last(name, run.vocabulary)
    matching = [leaf for leaf in run.leaves if _last(leaf, run.vocabulary) == last]
    return matching[0] if len(matching) == 1 else None


def _last(name: str, vocabulary: Vocabulary) -> str:
    """A dotted name's last part in words, as recorded runs call it; a `kind` is its section's."""
    parts = ["_".join(re.findall("[a-z0-9]+", part.lower())) for part in name.split(".")]
    whole = "_".join(parts[-2:])
    if whole in vocabulary.recorded_names:
        return vocabulary.recorded_names[whole]
    last = whole if parts[-1] in ("kind", "name") else parts[-1]
    last = vocabulary.aliases.get(last, last)
    return vocabulary.recorded_names.get(last, last)


def _value(run: RecordedRun, leaf: str, choices: tuple[Any, ...]) -> Any:
    """A recorded value as the space has it: a choice may have been recorded under another name."""
    value = run.leaves[leaf]
    translated = run.vocabulary.recorded_values.get(value) if isinstance(value, str) else None
    return translated if translated in choices else value
