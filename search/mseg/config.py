"""All settings of one training, typed: a section of space.yaml is a file of this package.

`Config.from_params` is the only way from flat dotted names to a `Config`. A `Config` that exists is
valid on its own; what depends on the data (a batch larger than the training set) is said by `train`.
"""

from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from search.errors import SpaceError
from search.mseg.augment import AugmentConfig
from search.mseg.data.data import DataConfig
from search.mseg.losses import LossConfig
from search.mseg.models.microsegformer import ModelConfig
from search.mseg.optimizers import OptimizerConfig
from search.mseg.schedulers import ScheduleConfig
from search.objective import Params


class TrainerConfig(BaseModel):
    """The section `trainer` of space.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(200, ge=1, description="epochs at most, 1 or more")
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


class Config(BaseModel):
    """Everything that changes what a training gives, but its seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: DataConfig = Field(default_factory=DataConfig)
    augment: AugmentConfig = Field(default_factory=AugmentConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    loss: LossConfig = Field(default_factory=LossConfig)
    trainer: TrainerConfig = Field(default_factory=TrainerConfig)

    @classmethod
    def from_params(cls, params: Params) -> "Config":
        """The config of flat parameters by dotted name; what is absent has its default.

        Raises:
            SpaceError: an unknown name, a wrong type or a value out of range, in one line.
        """
        sections: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            if name not in SETTINGS:
                raise SpaceError(f"{name}: no such setting{_nearest(name)}", parameter=name)
            section, leaf = name.split(".")
            sections.setdefault(section, {})[leaf] = value
        try:
            return cls.model_validate(sections, strict=True)
        except ValidationError as error:
            raise _one_line(error) from None

    def to_params(self) -> dict[str, Any]:
        """The inverse of `from_params`, every setting named."""
        sections = self.model_dump()
        return {name: sections[section][leaf] for name in SETTINGS for section, leaf in [name.split(".")]}

    @model_validator(mode="after")
    def _warms_up_in_time(self) -> "Config":
        warmup, epochs = self.schedule.warmup_epochs, self.trainer.epochs
        if warmup >= epochs:
            raise SpaceError(
                f"schedule.warmup_epochs: {warmup} is not below trainer.epochs {epochs}; make it shorter",
                parameter="schedule.warmup_epochs",
            )
        return self


def _nearest(name: str) -> str:
    section, _, leaf = name.partition(".")
    leaves = [setting.partition(".")[2] for setting in SETTINGS if setting.startswith(f"{section}.")]
    near = [f"{section}.{match}" for match in get_close_matches(leaf, leaves, n=1)]
    near = near or get_close_matches(name, SETTINGS, n=1, cutoff=0.8)
    if near:
        return f" (did you mean {near[0]!r}?)"
    if leaves:
        return f"; {section} has {', '.join(leaves)}"
    return f"; there are the sections {', '.join(Config.model_fields)}"


def _one_line(error: ValidationError) -> SpaceError:
    """Pydantic's findings about the first setting that is wrong: place, value, remedy."""
    first, *others = error.errors()
    place = first["loc"][:2]  # what follows are the members of a union
    findings = [first, *(other for other in others if other["loc"][:2] == place)]
    remedy = " or ".join(finding["msg"].removeprefix("Input ") for finding in findings)
    name = ".".join(str(part) for part in place)
    return SpaceError(f"{name}: {first['input']!r} {' '.join(remedy.split())}", parameter=name)


SETTINGS = tuple(
    f"{section}.{leaf}"
    for section, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    for leaf in field.annotation.model_fields
)
"""The dotted name of every setting there is."""
