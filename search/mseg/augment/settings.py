"""The section `augment` of space.yaml."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, create_model, field_validator

from search.document.options import options_of
from search.errors import SpaceError
from search.mseg.augment.photometric import PHOTOMETRIC
from search.mseg.data.labels import IGNORED

PROBABILITIES = (
    *("flip", "rotation", "affine", "crop", "colour"),
    *PHOTOMETRIC,
    *("cutout", "mixup", "cutmix"),
)
"""The settings that switch an augmentation on, in the order in which they apply."""


class AugmentSettings(BaseModel):
    """The section `augment` of space.yaml. Probabilities are per image, from 0 (never) to 1 (always).

    The options of an augmentation are declared behind its probability.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    fill: Literal["background", "ignored"] = Field(
        "background",
        description="label of what moves in from outside: class 0, or ignored by loss and score; "
        "`ignored` also leaves out the pixels that cutout hides",
    )
    flip: float = Field(0.5, ge=0, le=1, description="probability of a left-right mirror image")
    rotation: float = Field(0.3, ge=0, le=1, description="probability of a rotation about the centre")
    rotation_degrees: float = Field(
        15.0, ge=0, le=180, description="largest angle to either side, in degrees, 0 to 180"
    )
    affine: float = Field(0.3, ge=0, le=1, description="probability of a scaling with a translation")
    scale: float = Field(
        0.1, ge=0, le=0.9, description="largest change of size, 0 to 0.9: 0.1 draws factors from 0.9 to 1.1"
    )
    translation: float = Field(
        0.05, ge=0, le=1, description="largest translation per axis as a share of the side, 0 to 1"
    )
    crop: float = Field(0.0, ge=0, le=1, description="probability of an enlarged window of the image")
    crop_area_min: float = Field(
        0.25, gt=0, le=1, description="smallest window as a share of the image's area, above 0 to 1"
    )
    crop_area_max: float = Field(1.0, gt=0, le=1, description="largest window likewise, above 0 to 1")
    crop_aspect: float = Field(
        4 / 3,
        ge=1,
        le=10,
        description="largest stretch of the window against the image's own shape, either way, 1 to 10",
    )
    colour: float = Field(0.5, ge=0, le=1, description="probability of a change of colours")
    brightness: float = Field(
        0.2, ge=0, le=1, description="largest value added to all channels or taken off, 0 to 1 (white)"
    )
    contrast: float = Field(
        0.2, ge=0, le=1, description="channels are multiplied by 1 - contrast to 1 + contrast, 0 to 1"
    )
    saturation: float = Field(
        0.1, ge=0, le=1, description="the HSV saturation is multiplied likewise, 0 to 1"
    )
    cutout: float = Field(0.0, ge=0, le=1, description="probability of a rectangle painted black")
    cutout_area_min: float = Field(
        0.02, gt=0, le=1, description="smallest rectangle as a share of the image's area, above 0 to 1"
    )
    cutout_area_max: float = Field(0.33, gt=0, le=1, description="largest rectangle likewise, above 0 to 1")
    cutout_aspect: float = Field(
        3.3,
        ge=1,
        le=10,
        description="largest stretch of the rectangle against the image's own shape, either way, 1 to 10",
    )
    mixup: float = Field(0.0, ge=0, le=1, description="probability of being mixed with another image")
    mixup_alpha: float = Field(
        0.2,
        gt=0,
        allow_inf_nan=False,
        description="the image's share is drawn from Beta(alpha, alpha), alpha above 0",
    )
    cutmix: float = Field(0.0, ge=0, le=1, description="probability of a rectangle from another image")
    cutmix_alpha: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="the area that stays is drawn from Beta(alpha, alpha), alpha above 0",
    )

    @property
    def outside(self) -> int:
        """The value in masks of what moves in from outside."""
        return IGNORED if self.fill == "ignored" else 0

    @field_validator("*")
    @classmethod
    def _ordered(cls, value: Any, info: ValidationInfo) -> Any:
        """SpaceError where a `..._max` is below its `..._min`, which is declared before it."""
        low = f"{str(info.field_name).removesuffix('_max')}_min"
        if low in info.data and value < info.data[low]:
            name = f"augment.{info.field_name}"
            raise SpaceError(
                f"{name}: {value} is below augment.{low} {info.data[low]}; make it larger", parameter=name
            )
        return value


def _fields() -> dict[str, Any]:
    """Of each entry of PHOTOMETRIC the probability, 0 unless set, and the options."""
    fields: dict[str, Any] = {}
    for name, entry in PHOTOMETRIC.items():
        fields[name] = (float, Field(0.0, ge=0, le=1, description=f"probability of the change `{name}`"))
        fields |= options_of(entry)
    return fields


AugmentConfig = create_model("AugmentConfig", __base__=AugmentSettings, **_fields())
