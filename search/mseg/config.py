"""All settings of one training, typed: a section of space.yaml is a file of this package.

`Config.from_params` is the only way from flat dotted names to a `Config`. A `Config` is always valid in
itself; what depends on the data (a batch larger than the training set) is reported by `train`.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search.document.options import in_one_line
from search.errors import SpaceError
from search.mseg.augment import AugmentConfig, AugmentSettings
from search.mseg.data.sources import DataConfig
from search.mseg.losses.criterion import LossConfig, LossSettings
from search.mseg.models.registry import ModelConfig
from search.mseg.naming import FORMER
from search.mseg.optimizers import OptimizerConfig
from search.mseg.schedulers import ScheduleConfig
from search.mseg.section import Section
from search.objective import Params

MOST_EPOCHS = 1_000_000


class TrainerConfig(BaseModel):
    """The section `trainer` of space.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(200, ge=1, le=MOST_EPOCHS, description="epochs at most, 1 or more")
    batch_size: int = Field(
        32, ge=1, description="images per step; an epoch's incomplete last batch is dropped"
    )
    patience: int | None = Field(
        20, ge=1, description="epochs without a new best smoothed score before stopping early; null: never"
    )
    grad_clip: float | None = Field(
        1.0,
        gt=0.0,
        allow_inf_nan=False,
        description="L2 norm the gradient is clipped to, above 0; null: not",
    )
    ema: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        description="decay per step of the averaged weights that are evaluated; null: none",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the forward pass; auto: bfloat16 on CUDA, float32 elsewhere"
    )
    compile: bool = Field(
        False, description="train a model that PyTorch has compiled; other dropout, and rounding"
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that changes what a training gives, except its seed."""

    data: DataConfig
    augment: AugmentSettings
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    loss: LossSettings
    trainer: TrainerConfig

    @classmethod
    def from_params(cls, params: Params) -> Self:
        """The config of flat parameters by dotted name; what is absent has its default.

        Raises:
            SpaceError: an unknown name, a wrong type or a value out of range, in one line.
        """
        given: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
        for name, value in params.items():
            if (name, value) in FORMER.items():
                continue
            setting = next((each for each in OPEN if name.startswith(f"{each}.")), name)
            if setting not in SETTINGS:
                raise SpaceError(f"{name}: no such setting{_nearest(name)}", parameter=name)
            *path, last = name.split(".")
            section: dict[str, Any] = given
            for part in path:
                section = section.setdefault(part, {})
            section[last] = value if setting == name else _plain(value)
        return cls(**{name: _section(name, values) for name, values in given.items()})

    def to_params(self) -> dict[str, Any]:
        """The inverse of `from_params`, every setting named."""
        sections = self.sections()
        return {name: sections[section][leaf] for name in SETTINGS for section, leaf in [name.split(".")]}

    def sections(self) -> dict[str, dict[str, Any]]:
        """Every setting by section and name."""
        return {name: getattr(self, name).model_dump() for name in SECTIONS}

    def __post_init__(self) -> None:
        warmup, epochs = self.schedule.warmup_epochs, self.trainer.epochs
        if warmup >= epochs:
            raise SpaceError(
                f"schedule.warmup_epochs: {warmup} is not below trainer.epochs {epochs}; make it shorter, "
                "or take --profile smoke for a quick look",
                parameter="schedule.warmup_epochs",
            )


SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataConfig,
    "augment": AugmentConfig,
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "schedule": ScheduleConfig,
    "loss": LossConfig,
    "trainer": TrainerConfig,
}

SETTINGS = tuple(
    f"{name}.{leaf}"
    for name, section in SECTIONS.items()
    for leaf in (section.settings() if issubclass(section, Section) else section.model_fields)
)
"""The dotted name of every setting there is."""

OPEN = ("model.arguments",)
"""Settings that take whatever names are below them, as a dict."""


def _plain(value: Any) -> Any:
    """A value below an `OPEN` setting; a list among `choices` arrives as its text."""
    if isinstance(value, str) and value.startswith("["):
        with suppress(ValueError):
            return json.loads(value)
    return value


def _section(name: str, values: dict[str, Any]) -> Any:
    section = SECTIONS[name]
    try:
        if issubclass(section, Section):
            return section.of(**values)
        return section.model_validate(values, strict=True)
    except ValidationError as error:
        raise _one_line(name, error) from None


def _nearest(name: str) -> str:
    section, _, leaf = name.partition(".")
    leaves = [setting.partition(".")[2] for setting in SETTINGS if setting.startswith(f"{section}.")]
    near = [f"{section}.{match}" for match in get_close_matches(leaf, leaves, n=1)]
    near = near or get_close_matches(name, SETTINGS, n=1, cutoff=0.8)
    if near:
        return f" (did you mean {near[0]!r}?)"
    if leaves:
        return f"; {section} has {', '.join(leaves)}"
    return f"; there are the sections {', '.join(SECTIONS)}"


def _one_line(section: str, error: ValidationError) -> SpaceError:
    """Pydantic's complaints about the first setting that is wrong: place, value, remedy."""
    first, *others = error.errors()
    leaf = first["loc"][0]  # what follows are the members of a union
    complaints = [first, *(other for other in others if other["loc"][0] == leaf)]
    name = f"{section}.{leaf}"
    return SpaceError(f"{name}: {in_one_line(complaints)}", parameter=name)
