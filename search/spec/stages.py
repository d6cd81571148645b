"""`study.stages` of space.yaml: search small, confirm large.

    stages:
      - {trials: 40, data.image_size: 128, trainer.epochs: 60}
      - {keep: 8, data.image_size: 256, trainer.epochs: 120}
      - {keep: 3, seeds: 3}

The first stage is the search itself. Each later one trains again what the one before found best, and the
known configs. A stage replaces constants of the space; what it does not name has the space's own value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from search.document.node import Node
from search.errors import did_you_mean
from search.objective import NOTHING
from search.spec.parameter import read_number, read_value
from search.spec.space import Space

LIMITS: Mapping[str, tuple[int, int]] = {"trials": (1, 2**31 - 1), "keep": (1, 10_000), "seeds": (2, 30)}
"""The lowest and the highest value of whole numbers."""
CONTROLS = 0.1
WORDS = ("trials", "keep", "controls", "seeds")


@dataclass(frozen=True)
class SearchStage:
    """One stage of a search.

    Attributes:
        trials: of the first stage: its budget; None elsewhere.
        keep: of a later stage: how many of the best go on to it; None in the first.
        controls: of a later stage: the share, 0 to 1, of what was not kept that is drawn to go on as well.
        seeds: of the last stage: how many fresh seeds confirm each config, 2 or more; None: one.
        constants: the constants that this stage replaces, by dotted name.
    """

    trials: int | None = None
    keep: int | None = None
    controls: float = CONTROLS
    seeds: int | None = None
    constants: Mapping[str, Any] = field(default_factory=lambda: NOTHING)

    def to_document(self) -> dict[str, Any]:
        """As space.yaml writes it, with every default written out."""
        given = {"trials": self.trials, "keep": self.keep, "seeds": self.seeds}
        own: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if self.keep is not None and self.seeds is None:
            own["controls"] = self.controls
        return {**own, **self.constants}


def read_stages(node: Node) -> tuple[SearchStage, ...]:
    """The stages written at `node`; raises SpaceError that names the place."""
    if node.value is None or node.value == []:
        return ()
    if not isinstance(node.value, list) or len(node.value) < 2:
        raise node.error("study.stages: a search has no stages, or a list of at least two")
    last = len(node.value) - 1
    return tuple(_read_stage(item, index, last) for index, item in enumerate(node.value))


def _read_stage(node: Node, index: int, last: int) -> SearchStage:
    name = f"study.stages, stage {index + 1}"
    if not isinstance(node.value, dict):
        raise node.error(f"{name}: {node.show()} is not a mapping, as in {{keep: 8, data.image_size: 256}}")
    entries = node.entries()
    allowed = ("trials",) if index == 0 else ("keep", "controls", "seeds") if index == last else WORDS[1:3]
    for word in WORDS:
        if word in entries and word not in allowed:
            where = "first" if word == "trials" else "last" if word == "seeds" else "second and later"
            raise entries[word].error(f"{name}: {word} belongs to the {where} of the stages")
    if index and "keep" not in entries:
        raise node.error(f"{name}: has no keep, the number of configs that go on to it; write keep: 8")
    if "seeds" in entries and "controls" in entries:
        raise entries["controls"].error(f"{name}: a confirmation (seeds) has no controls; omit one")
    constants = [(key, item) for key, item in _leaves(entries) if key not in WORDS]
    for index, (key, item) in enumerate(constants):
        if any(key == other for other, _ in constants[:index]):
            raise item.error(f"{name}: {key} is given twice; keep one")
    stage = SearchStage(
        trials=_integer(name, "trials", entries),
        keep=_integer(name, "keep", entries),
        seeds=_integer(name, "seeds", entries),
        constants={key: read_value(key, item) for key, item in constants},
    )
    if "controls" not in entries:
        return stage
    share = float(read_number(f"{name}: controls", entries["controls"]))
    if not 0 <= share <= 1:
        raise entries["controls"].error(f"{name}: controls: {share} is not a share from 0 to 1")
    return replace(stage, controls=share)


def _integer(name: str, key: str, entries: Mapping[str, Node]) -> int | None:
    if key not in entries:
        return None
    value, (low, high) = entries[key].value, LIMITS[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise entries[key].error(
            f"{name}: {key}: {entries[key].show()} is not a whole number from {low} to {high}"
        )
    return value


def too_many_kept(stages: Sequence[SearchStage], trials: int) -> str | None:
    """A sentence for the user where a stage keeps more configs than the first stage has trials."""
    for number, stage in enumerate(stages, 1):
        if stage.keep is not None and stage.keep > trials:
            return (
                f"study.stages, stage {number}: keep: {stage.keep} is more than the {trials} trials of "
                "stage 1, so it chooses nothing: keep fewer, or give stage 1 more trials"
            )
    return None


def _leaves(entries: Mapping[str, Node], prefix: str = "") -> Iterable[tuple[str, Node]]:
    """Dotted names with their values, whether written with dots or nested."""
    for name, item in entries.items():
        if item.entries():
            yield from _leaves(item.entries(), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item


def resolve_stages(
    stages: Sequence[SearchStage], space: Space, node: Node, reread: Callable[[Mapping[str, Any]], Space]
) -> tuple[SearchStage, ...]:
    """The stages with every constant that any of them replaces written out in each.

    Args:
        node: where they were written. reread: the space with other values of some constants, conditions
            resolved anew.

    Raises:
        SpaceError: a stage replaces what is no constant of the space, or what a condition depends on.
    """
    named = [name for stage in stages for name in stage.constants]
    for index, stage in enumerate(stages):
        for name in stage.constants:
            label = f"study.stages, stage {index + 1}: {name}"
            if name in space.by_name:
                raise node.error(f"{label} is searched; a stage replaces constants only")
            if name not in space.constants:
                raise node.error(f"{label}: no such constant{did_you_mean(name, space.constants)}")
        if reread(stage.constants).parameters != space.parameters:
            raise node.error(
                f"study.stages, stage {index + 1}: a condition in the space depends on one of its "
                "constants; all stages must have the same parameters"
            )
    own = {name: space.constants[name] for name in named}
    return tuple(replace(stage, constants={**own, **stage.constants}) for stage in stages)
