"""How a space is searched: direction, budget, smoothing, target, sampler and pruner. How it is reported.

Which samplers and pruners there are, their registries know; here they are a kind and its options.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, get_args

from search.errors import one_of
from search.objective import NOTHING, Value
from search.scoring import Direction
from search.spec.parameter import read_number, read_scalar
from search.spec.source import Node

NAMES = ("direction", "trials", "smooth", "target", "sampler", "pruner")

STAGES = ("warm-up", "fast learning", "steady climb", "peak", "late")
"""The stages of a training, in order; `report.stages` says where all but the last end."""


@dataclass(frozen=True)
class SamplerSettings:
    """A sampler by name, its seed (0 to 2**32 - 1) and its further options."""

    kind: str = "tpe"
    seed: int = 42
    options: Mapping[str, Value] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True)
class PrunerSettings:
    """A pruner by name and its options."""

    kind: str = "median"
    options: Mapping[str, Value] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True)
class StudySettings:
    """The `study` of space.yaml.

    Attributes:
        direction: whether a higher or a lower score is better.
        trials: the budget over all workers, from 1.
        smooth: how many consecutive validations are averaged into a trial's value, from 1.
        target: the score that the user wants to reach.
    """

    direction: Direction = "maximize"
    trials: int = 60
    smooth: int = 5
    target: float | None = None
    sampler: SamplerSettings = SamplerSettings()
    pruner: PrunerSettings = PrunerSettings()

    def to_document(self) -> dict[str, Any]:
        """As space.yaml writes it, with every default written out."""
        return {
            "direction": self.direction,
            "trials": self.trials,
            "smooth": self.smooth,
            "target": self.target,
            "sampler": {"kind": self.sampler.kind, "seed": self.sampler.seed, **self.sampler.options},
            "pruner": {"kind": self.pruner.kind, **self.pruner.options},
        }


@dataclass(frozen=True)
class ReportSettings:
    """The `report` of space.yaml: what is shown of a study, not what its scores are.

    Attributes:
        stages: the last epoch of each stage of a training but the last; None: each run's own rule says so.
    """

    stages: tuple[int, ...] | None = None

    def to_document(self) -> dict[str, Any]:
        """As space.yaml writes it, with every default written out."""
        return {"stages": None if self.stages is None else list(self.stages)}


def read_study(node: Node) -> StudySettings:
    """The settings written at `node`; raises SpaceError with the place of what is wrong."""
    written = node.mapping("study")
    for name, item in written.items():
        if name not in NAMES:
            raise item.error(one_of("study", name, NAMES))
    read: dict[str, Any] = {}
    for name, item in written.items():
        label = f"study.{name}"
        if name == "direction":
            read[name] = _direction(label, item)
        elif name in ("trials", "smooth"):
            read[name] = _integer(label, item, 1)
        elif name == "target":
            read[name] = None if item.value is None else float(read_number(label, item))
        elif name == "sampler":
            kind, options = _kind(label, item)
            seed = _integer(f"{label}.seed", options.pop("seed"), 0, 2**32 - 1) if "seed" in options else 42
            read[name] = SamplerSettings(kind, seed, _options(label, options))
        else:
            kind, options = _kind(label, item)
            read[name] = PrunerSettings(kind, _options(label, options))
    return StudySettings(**read)


def read_report(node: Node) -> ReportSettings:
    """The settings written at `node`; raises SpaceError with the place of what is wrong."""
    written = node.mapping("report")
    for name, item in written.items():
        if name != "stages":
            raise item.error(one_of("report", name, ["stages"]))
    stages = written.get("stages")
    if stages is None or stages.value is None:
        return ReportSettings()
    ends = stages.plain()
    if not isinstance(ends, list) or not are_stage_ends(ends):
        count = len(STAGES) - 1
        raise stages.error(
            f"report.stages: {stages.show()} is not {count} ascending epochs, as in [5, 30, 90, 120]"
        )
    return ReportSettings(tuple(ends))


def _direction(name: str, node: Node) -> str:
    directions = get_args(Direction)
    if node.value not in directions:
        raise node.error(one_of(name, node.plain(), directions))
    return str(node.value)


def _integer(name: str, node: Node, low: int, high: int | None = None) -> int:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int):
        raise node.error(f"{name}: {node.show()} is not an integer")
    if value < low:
        raise node.error(f"{name}: {value} is below {low}")
    if high is not None and value > high:
        raise node.error(f"{name}: {value} is above {high}")
    return value


def _kind(name: str, node: Node) -> tuple[str, dict[str, Node]]:
    """The `kind` of a sampler or pruner, and whatever else is written there."""
    options = dict(node.entries())
    if "kind" not in options:
        found = "has no kind" if options else f"{node.show()} has no kind"
        raise node.error(f"{name}: {found}; write {{kind: ...}}")
    kind = options.pop("kind")
    if not isinstance(kind.value, str) or not kind.value:
        raise kind.error(f"{name}.kind: {kind.show()} is not a name")
    return kind.value, options


def _options(name: str, written: Mapping[str, Node]) -> dict[str, Value]:
    return {option: read_scalar(f"{name}.{option}", item) for option, item in written.items()}


def are_stage_ends(values: Sequence[object]) -> bool:
    """Whether these are last epochs of the first four stages: ascending from 0, which is no warm-up, on."""
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    return len(values) == len(whole) == len(STAGES) - 1 and all(a < b for a, b in pairwise([-1, *whole]))
