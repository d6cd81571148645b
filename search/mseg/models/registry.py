"""The models there are, and the section `model` of space.yaml."""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

import torch
from pydantic import Field

from search.errors import SpaceError, cause_of
from search.mseg.models.deeplab import DeepLab
from search.mseg.models.imported import Imported
from search.mseg.models.microsegformer import MicroSegFormer
from search.mseg.models.model import SegmentationModel, trainable
from search.mseg.models.unet import UNet
from search.mseg.section import Section

T = TypeVar("T")

MODELS: dict[str, Callable[..., SegmentationModel]] = {
    "microsegformer": MicroSegFormer,
    "deeplab": DeepLab,
    "unet": UNet,
    "import": Imported,
}
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
    """How many trainable parameters the model would have; allocates none of them where that is possible."""
    return _tried(config, classes, trainable)


def check(config: ModelConfig, classes: int, size: int | Sequence[int]) -> None:
    """Has an imported model predict images of `size` (their side, or height and width) without training it.

    Raises:
        SpaceError: it cannot, or what it gives are not logits of `classes` classes.
    """
    if config.kind != "import":
        return
    height, width = (size, size) if isinstance(size, int) else size

    def predict(model: SegmentationModel) -> None:
        images = torch.zeros(2, 3, height, width, device=next(model.parameters()).device)
        for training in (False, True):
            model.train(training).coarse(images)

    try:
        _tried(config, classes, predict)
    except SpaceError:
        raise
    except Exception as error:
        cause = cause_of(error, 150)
        raise SpaceError(
            f"model.name: images of {height} x {width} pixels fail with {cause}; --debug shows where",
            parameter="model.name",
        ) from error


@torch.no_grad()
def _tried(config: ModelConfig, classes: int, use: Callable[[SegmentationModel], T]) -> T:
    """`use` of a model that is thrown away: a meta one, without values, or where that fails a real one."""
    try:
        with torch.device("meta"):
            return use(build(config, classes))
    except Exception:  # a constructor or a layer that needs values; what else is wrong fails again
        with torch.random.fork_rng(devices=[]):
            return use(build(config, classes))
