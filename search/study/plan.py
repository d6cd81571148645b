"""The plan of a study that retrains configs on fresh seeds: what is frozen when it is created.

A slot of its budget is (config, seed): `storage.plans` holds which. Every config has the same
seeds, so that what one seed is lucky with cancels in their differences; none is the study's own, which
chose the contenders.
"""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["confirm", "ablate"]

FIRST = 3
"""Seeds of every config before the first decision."""

SEEDS = 6
"""Seeds of every config at most, where nobody says otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedConfig:
    """One config that is retrained.

    Attributes:
        number: the trial of the search that ran it, where one did. value: what that came to.
        params: of every parameter that exists in it; constants left out.
        changes: in an ablation, the indices of the changes that it has.
    """

    name: str
    number: int | None
    params: Mapping[str, Any]
    value: float | None
    changes: tuple[int, ...] = ()

    @property
    def argument(self) -> str:
        """What names it on a command line: the trial it was chosen as, or the known config."""
        chosen_as_trial = self.number is not None and self.name.startswith(f"trial {self.number}")
        return str(self.number) if chosen_as_trial else self.name


@dataclass(frozen=True, slots=True)
class Planned:
    """What one slot trains.

    Attributes:
        params: of every parameter that exists. constants: those that are not the study's.
        seed: of weights, data order and augmentation.
        said: which config that is, with which of its seeds, and what for; a sentence or two.
    """

    params: Mapping[str, Any]
    constants: Mapping[str, Any]
    seed: int
    said: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """The winner's curse as it was predicted before anything was retrained.

    Attributes:
        curse: by how much the best trial's value is expected to be above its config's mean.
        noise: the standard deviation of one value that was assumed. trials: how many were looked at.
    """

    curse: float
    noise: float
    trials: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a study retrains, and by which rule.

    Attributes:
        of: the name of the study whose trials these are.
        configs: the first is the reference, with which all others are compared.
        first, last: seeds of every config before the first decision, and at most.
        trials: how many trainings there may be at most, over all configs; None for as many as that is.
        seed: the study's own, which is not used.
        split: the parameter that holds the seed of the train/val split, where that is drawn anew as well.
        asked: the flags it was created with.
        changes: in an ablation, what each change is: parameter -> value in A and in B.
        predicted: None where the search did not tell enough. values: of its complete trials then.
    """

    kind: Kind
    of: str
    configs: Sequence[PlannedConfig]
    first: int
    last: int
    trials: int | None
    seed: int
    split: str | None
    asked: Mapping[str, Any]
    changes: Sequence[Mapping[str, tuple[Any, Any]]] = ()
    predicted: Prediction | None = None
    values: Sequence[float] = ()

    @property
    def opening(self) -> int:
        """How many configs, the first of them, have the first seeds; others join where they are needed."""
        if self.kind == "confirm":
            return len(self.configs)
        return sum(len(config.changes) in (0, 1, len(self.changes)) for config in self.configs)

    def command(self, name: str) -> str:
        """What says what has come of it so far, where the study is called `name`."""
        ends = ""
        if self.kind == "ablate":
            a, b = (config for config in self.configs if len(config.changes) in (0, len(self.changes)))
            ends = "".join(f" {shlex.quote(config.argument)}" for config in (a, b))
        usual = self.kind == "confirm" and name == f"{self.of}-confirm"
        as_name = "" if usual else f" --as {name}"
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

    def planned(self, config: int, block: int, seed: int) -> Planned:
        """What a slot of `config` trains with `seed`, that of block `block`."""
        constants = {self.split: seed} if self.split else {}
        return Planned(self.configs[config].params, constants, seed, self._said(config, block, seed))

    def _said(self, config: int, block: int, seed: int) -> str:
        a, name, others = self.configs[0].name, self.configs[config].name, len(self.configs) - 1
        with_seed = f"with the fresh seed {seed}, number {block + 1} of {self.last} at most"
        once_more = f"Retrains {name} of study {self.of} {with_seed}."
        if self.kind == "confirm":
            contenders = f"{others} contender{'s' if others > 1 else ''}"
            part = f"one of {contenders}, held against {a}" if config else f"the baseline of {contenders}"
            return f"{once_more} It is {part}."
        b = next(config.name for config in self.configs if len(config.changes) == len(self.changes))
        if name in (a, b):
            return f"{once_more} It is an end of the path from {a} to {b}."
        return f"Trains {a} of study {self.of}, but for {name} as in {b}, {with_seed}."

    def fresh_seed(self, block: int) -> int:
        """The seed of block `block`, 0 to 2^32 - 1: another for each, and never the study's own."""
        found: list[int] = []
        attempt = 0
        while len(found) <= block:
            digest = hashlib.sha256(f"{self.seed} fresh {attempt}".encode()).digest()
            seed = int.from_bytes(digest[:4])
            attempt += 1
            if seed != self.seed and seed not in found:
                found.append(seed)
        return found[block]
