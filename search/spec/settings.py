"""How a space is searched (direction, budget, smoothing, target, sampler, pruner) and how it is reported.

Here a sampler or a pruner is a kind with options; their registries know which there are. Values are checked
by hand: with pydantic our one-line errors with their places take more code, and every command would import
it, 0.1 s more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import Any, get_args

from search.document.node import Node
from search.errors import unknown_name
from search.objective import NOTHING, Value
from search.scoring import Direction
from search.spec.parameter import read_number, read_scalar
from search.spec.stages import SearchStage, read_stages

MAX_TRIALS = 2**31 - 1
"""What the database's integers hold."""

LIMITS: Mapping[str, tuple[int, int]] = {
    "study.stop.after": (1, MAX_TRIALS),
    "study.trials": (1, MAX_TRIALS),
    "study.smooth": (1, MAX_TRIALS),
    "study.seeds": (1, 1000),
    "study.sampler.seed": (0, 2**32 - 1),
}
"""The lowest and the highest value of whole numbers."""

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
class StopRule:
    """When a search ends before its budget is used up: at whichever comes first.

    Attributes:
        target: once a trial's value is as good as this.
        after: once this many trials in a row, 1 or more, have ended without a better one than before.
    """

    target: float | None = None
    after: int | None = None

    def to_document(self) -> dict[str, Any]:
        """As space.yaml writes it."""
        given = {"target": self.target, "after": self.after}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class StudySettings:
    """The `study` of space.yaml.

    Attributes:
        direction: whether a higher or a lower score is better.
        trials: the budget of all workers together, 1 or more.
        smooth: how many consecutive validations are averaged into a trial's value, 1 or more.
        target: the score to reach, which is shown and ends nothing.
        stop: what ends the search before its budget is used up; None: nothing.
        stages: of a search that goes on at other constants; none for a search of one stage.
        score: a name that the objective's vocabulary has; None for its default.
        seeds: how many seeds the trials take turns with, 1 to 1000; 1: all train with the sampler's.
    """

    direction: Direction = "maximize"
    trials: int = 60
    smooth: int = 5
    target: float | None = None
    sampler: SamplerSettings = SamplerSettings()
    pruner: PrunerSettings = PrunerSettings()
    stages: tuple[SearchStage, ...] = ()
    score: str | None = None
    stop: StopRule | None = None
    seeds: int = 1

    def seed_of(self, slot: int) -> int:
        """The seed (0 to 2**32 - 1) of the training in a slot of the budget; the first is the sampler's."""
        turn = slot % self.seeds
        return hashed_seed(f"{self.sampler.seed} turn {turn}") if turn else self.sampler.seed

    def to_document(self) -> dict[str, Any]:
        """As space.yaml writes it, with every default written out."""
        return {
            "score": self.score,
            "direction": self.direction,
            "trials": self.trials,
            "smooth": self.smooth,
            "target": self.target,
            "sampler": {"kind": self.sampler.kind, "seed": self.sampler.seed, **self.sampler.options},
            "pruner": {"kind": self.pruner.kind, **self.pruner.options},
            **({"stages": [stage.to_document() for stage in self.stages]} if self.stages else {}),
            **({"stop": self.stop.to_document()} if self.stop else {}),
            **({"seeds": self.seeds} if self.seeds > 1 else {}),
        }


@dataclass(frozen=True)
class ReportSettings:
    """The `report` of space.yaml: how a study is shown; it changes no score.

    Attributes:
        stages: the last epoch of each stage of a training except the last; None: found by rule in each run.
    """

    stages: tuple[int, ...] | None = None

    def to_document(self) -> dict[str, Any]:
        """As space.yaml writes it, with every default written out."""
        return {"stages": None if self.stages is None else list(self.stages)}


def hashed_seed(text: str) -> int:
    """A seed (0 to 2**32 - 1) that another text has only by chance."""
    return int.from_bytes(sha256(text.encode()).digest()[:4])


def read_study(node: Node) -> StudySettings:
    """The settings written at `node`; raises SpaceError that names the place."""
    readers: Mapping[str, Callable[[str, Node], Any]] = {
        "score": _score,
        "direction": _direction,
        "trials": _integer,
        "smooth": _integer,
        "target": lambda name, item: None if item.value is None else float(read_number(name, item)),
        "sampler": _sampler,
        "pruner": lambda name, item: PrunerSettings(*_kind_and_options(name, item)),
        "stages": lambda _, item: read_stages(item),
        "stop": _stop,
        "seeds": _integer,
    }
    entries = node.mapping("study", readers)
    return StudySettings(**{name: readers[name](f"study.{name}", item) for name, item in entries.items()})


def read_report(node: Node) -> ReportSettings:
    """The settings written at `node`; raises SpaceError that names the place."""
    stages = node.mapping("report", ["stages"]).get("stages")
    if stages is None or stages.value is None:
        return ReportSettings()
    ends = stages.plain()
    if not isinstance(ends, list) or not are_stage_ends(ends):
        count = len(STAGES) - 1
        raise stages.error(
            f"report.stages: {stages.show()} is not {count} ascending epochs, as in [5, 30, 90, 120]"
        )
    return ReportSettings(tuple(ends))


def are_stage_ends(values: Sequence[object]) -> bool:
    """Whether these are last epochs of the first four stages: ascending integers, 0 where none warms up."""
    integers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    complete = len(values) == len(integers) == len(STAGES) - 1
    return complete and all(a < b for a, b in pairwise([-1, *integers]))


def _score(name: str, node: Node) -> str | None:
    if node.value is None or (isinstance(node.value, str) and node.value):
        return node.value
    raise node.error(f"{name}: {node.show()} is not a name")


def _stop(name: str, node: Node) -> StopRule | None:
    if node.value is None:
        return None
    written = node.mapping(name, ["target", "after"])
    if not written:
        raise node.error(f"{name}: has neither target nor after; write {{target: 0.84}} or {{after: 20}}")
    given = {key: item for key, item in written.items() if item.value is not None}
    rule = StopRule(
        float(read_number(f"{name}.target", given["target"])) if "target" in given else None,
        _integer(f"{name}.after", given["after"]) if "after" in given else None,
    )
    return rule if given else None  # null takes a rule of the file or the study back


def _direction(name: str, node: Node) -> str:
    directions = get_args(Direction)
    if node.value not in directions:
        raise node.error(unknown_name(name, node.plain(), directions))
    return str(node.value)


def _integer(name: str, node: Node) -> int:
    value, (low, high) = node.value, LIMITS[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise node.error(f"{name}: {node.show()} is not an integer")
    if not low <= value <= high:
        limit = f"below {low}" if value < low else f"above {high}"
        raise node.error(f"{name}: {value} is {limit}")
    return value


def _sampler(name: str, node: Node) -> SamplerSettings:
    seed = node.entries().get("seed")
    kind, options = _kind_and_options(name, node, "seed")
    if seed is None:
        return SamplerSettings(kind, options=options)
    return SamplerSettings(kind, _integer(f"{name}.seed", seed), options)


def _kind_and_options(name: str, node: Node, *others: str) -> tuple[str, dict[str, Value]]:
    """The `kind` of a sampler or pruner, and what is written beside it except for the `others`."""
    entries = node.entries()
    if "kind" not in entries:
        subject = "" if entries else f"{node.show()} "
        raise node.error(f"{name}: {subject}has no kind; write {{kind: ...}}")
    kind = entries["kind"]
    if not isinstance(kind.value, str) or not kind.value:
        raise kind.error(f"{name}.kind: {kind.show()} is not a name")
    options = {option: item for option, item in entries.items() if option not in ("kind", *others)}
    return kind.value, {option: read_scalar(f"{name}.{option}", item) for option, item in options.items()}
