"""The plan of a study that retrains configs of another one: what is fixed when it is created.

A slot of its budget is a config with a seed; `storage.plans` stores which. Every config gets the same
seeds, so that the luck of a seed cancels in their differences. No two plans have a seed in common, and none
has the study's own: those chose the contenders.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from search.records import Record
from search.spec.settings import hashed_seed

Kind = Literal["confirm", "ablate", "stage"]

FIRST = 3
"""Seeds of every config before the first decision."""

SEEDS = 6
"""Seeds of every config at most, by default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedConfig:
    """One config that is retrained.

    Attributes:
        number: the trial of the search that ran it, if one did. value: that trial's value.
        params: of every parameter that exists in it, without constants.
        changes: in an ablation, the indices of the changes that it has.
    """

    name: str
    number: int | None
    params: Mapping[str, Any]
    value: float | None
    changes: tuple[int, ...] = ()

    @classmethod
    def of(cls, record: Record) -> Self:
        """The config of a trial; only one that ran to its end has a value that could be ranked."""
        value = record.value if record.state == "complete" else None
        return cls(name=record.title, number=record.number, params=dict(record.params), value=value)

    @property
    def argument(self) -> str:
        """Its name on a command line: the trial's number, or the known config's name."""
        chosen_as_trial = self.number is not None and self.name.startswith(f"trial {self.number}")
        return str(self.number) if chosen_as_trial else self.name


@dataclass(frozen=True, slots=True)
class PlannedTraining:
    """What one slot trains.

    Attributes:
        params: of every parameter that exists. constants: those that differ from the study's.
        seed: of weights, data order and augmentation.
        description: which config it is, with which of its seeds, and what for; a sentence or two.
    """

    params: Mapping[str, Any]
    constants: Mapping[str, Any]
    seed: int
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """The winner's curse as predicted before anything was retrained.

    Attributes:
        curse: by how much the best trial's value is expected to exceed its config's mean.
        noise: the assumed standard deviation of one value, at least. most_noise: at most.
        trials: how many it was predicted from. seeds: how many these took turns with.
        low, high: its 95 % interval. The last four are None in plans of older versions.
    """

    curse: float
    noise: float
    trials: int
    low: float | None = None
    high: float | None = None
    most_noise: float | None = None
    seeds: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a study retrains, and by which rule.

    Attributes:
        of: the name of the study whose trials these are.
        configs: the first is the reference, with which all others are compared.
        first, last: seeds of every config before the first decision, and at most.
        trials: trainings at most, over all configs; None for no other limit than `last`.
        seed: the study's own, which is not used.
        draw: what the seeds are drawn from: the tokens of both studies and the kind. None in plans of older
            versions, which draw from `seed` alone.
        split: the parameter with the seed of the train/val split, if every seed gets a split of its own.
        asked: the flags it was created with.
        changes: in an ablation, what each change is: parameter -> value in A and in B.
        predicted: None where the search had too few trials. values: of its complete trials then.
        stage: which stage of the search it is, counted from 0, which is the search; None: it is none.
        groups: in a stage, why each config is in it: `kept`, `known` or `control`.
        left: in a stage, of how many configs the controls were drawn.
        errors: what a race takes its noise from: each contender's own differences and a variance that all
            have in common (`moderated`). Races of older versions keep to their rule: its own differences
            alone (`paired`), or all configs together (`pooled`).
        margin: the largest difference that does not matter in a race; None: none was stated.
        train, val: examples of each split, where every seed gets one; None if that is not known, as in
            plans of older versions.
    """

    kind: Kind
    of: str
    configs: Sequence[PlannedConfig]
    first: int
    last: int
    seed: int
    trials: int | None = None
    split: str | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    changes: Sequence[Mapping[str, tuple[Any, Any]]] = ()
    predicted: Prediction | None = None
    values: Sequence[float] = ()
    stage: int | None = None
    groups: Sequence[str] = ()
    left: int = 0
    draw: str | None = None
    errors: Literal["moderated", "paired", "pooled"] = "pooled"
    margin: float | None = None
    train: int | None = None
    val: int | None = None

    @property
    def overlap(self) -> float | None:
        """Validation examples for each training example of a split; 0 where all seeds share one split.

        None where they have splits of their own whose sizes are not known.
        """
        if self.split is None:
            return 0.0
        return self.val / self.train if self.train and self.val else None

    @property
    def opening(self) -> int:
        """How many of the first configs begin; the others join where they are needed."""
        if self.kind != "ablate":
            return len(self.configs)
        return sum(len(config.changes) in (0, 1, len(self.changes)) for config in self.configs)

    def command(self, name: str) -> str:
        """The command that shows the results so far, where the study is called `name`."""
        if self.stage is not None:
            return f"search status --study {self.of}"
        ends = ""
        if self.kind == "ablate":
            a, b = (config for config in self.configs if len(config.changes) in (0, len(self.changes)))
            ends = "".join(f" {shlex.quote(config.argument)}" for config in (a, b))
        has_default_name = self.kind == "confirm" and name == f"{self.of}-confirm"
        as_name = "" if has_default_name else f" --as {name}"
        return f"search {self.kind}{ends} --study {self.of}{as_name} --workers 0"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Plan":
        body = dict(stored)
        body["configs"] = [
            PlannedConfig(**{**config, "changes": tuple(config["changes"])}) for config in body["configs"]
        ]
        body["changes"] = [
            {name: (old, new) for name, (old, new) in change.items()} for change in body["changes"]
        ]
        body["predicted"] = body["predicted"] and Prediction(**body["predicted"])
        return cls(**body)

    def planned(self, config: int, block: int, seed: int) -> PlannedTraining:
        """What a slot of `config` trains with `seed`, that of block `block`."""
        constants = {self.split: seed} if self.split else {}
        text = self._describe(config, block, seed)
        return PlannedTraining(self.configs[config].params, constants, seed, text)

    def _describe(self, config: int, block: int, seed: int) -> str:
        if self.stage is not None and self.kind == "stage":
            name, group = self.configs[config].name, self.groups[config]
            return (
                f"Stage {self.stage + 1} of study {self.of} trains {name} ({group}) with the seed {seed}."
            )
        a, name, others = self.configs[0].name, self.configs[config].name, len(self.configs) - 1
        with_seed = f"with the fresh seed {seed}, number {block + 1} of {self.last} at most"
        retrains = f"Retrains {name} of study {self.of} {with_seed}."
        if self.kind == "confirm":
            contenders = f"{others} contender{'s' if others > 1 else ''}"
            part = f"one of {contenders}, compared with {a}" if config else f"the baseline of {contenders}"
            return f"{retrains} It is {part}."
        b = next(config.name for config in self.configs if len(config.changes) == len(self.changes))
        if name in (a, b):
            return f"{retrains} It is an end of the path from {a} to {b}."
        return f"Trains {a} of study {self.of}, except for {name} as in {b}, {with_seed}."

    def fresh_seed(self, block: int) -> int:
        """The seed of block `block`, 0 to 2^32 - 1: different for each block, and never the study's own."""
        draw = self.draw
        if draw is None:
            draw = f"{self.seed} {f'stage {self.stage}' if self.kind == 'stage' else 'fresh'}"
        seeds: list[int] = []
        attempt = 0
        while len(seeds) <= block:
            seed = hashed_seed(f"{draw} {attempt}")
            attempt += 1
            if seed != self.seed and seed not in seeds:
                seeds.append(seed)
        return seeds[block]
