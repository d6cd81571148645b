"""The models there are, and the section `model` of space.yaml."""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field

from search.mseg.models.microsegformer import MicroSegFormer
from search.mseg.models.model import SegmentationModel, trainable
from search.mseg.section import Section

MODELS: dict[str, Callable[..., SegmentationModel]] = {"microsegformer": MicroSegFormer}
"""(classes, *, options) -> a SegmentationModel for `classes` classes.

Weights are drawn from PyTorch's global generator, on the default device. Images have sides that are
multiples of 8. A model reads its options back from its live modules in `applied`.
"""


class ModelConfig(Section):
    """The section `model` of space.yaml."""

    section: ClassVar = "model"
    registry: ClassVar = MODELS

    kind: str = Field("microsegformer", description="a name in MODELS")
    max_parameters: int | None = Field(
        None, ge=1, description="trainable parameters at most, 1 or more; null: no cap"
    )


def build(config: ModelConfig, classes: int) -> SegmentationModel:
    """The model `config` names, freshly initialised from PyTorch's global generator."""
    model: SegmentationModel = config.bound()(classes)
    return model


def parameters(config: ModelConfig, classes: int) -> int:
    """How many trainable parameters the model would have; allocates none of them."""
    with torch.device("meta"):
        return trainable(build(config, classes))
