"""The models there are, and the section `model` of space.yaml."""

import math
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

CHECKED_SIDE = 64
"""Of the images (pixels) by which the values of an imported model are looked at."""

CHECKED_PARAMETERS = 20_000_000
"""Of an imported model at most, for that: larger ones take long to draw."""

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
        _check_values(config, classes)
    except SpaceError:
        raise
    except (Exception, SystemExit) as error:
        cause = cause_of(error, 150)
        raise SpaceError(
            f"model.name: images of {height} x {width} pixels fail with {cause}; --debug shows where",
            parameter="model.name",
        ) from error


def _check_values(config: ModelConfig, classes: int) -> None:
    """SpaceError for an imported model whose first logits, of small images, no loss can be derived by."""
    if parameters(config, classes) > CHECKED_PARAMETERS:
        return
    with torch.random.fork_rng(devices=[]):
        try:
            logits = build(config, classes).coarse(torch.rand(2, 3, CHECKED_SIDE, CHECKED_SIDE))
        except Exception:  # a model of one size only; `check` has found that it takes the study's
            return
    low, high = (each.item() for each in logits.detach().aminmax())
    problem = None
    if not (math.isfinite(low) and math.isfinite(high)):
        problem = "gives values that are not finite; its weights or its layers are wrong"
    elif not logits.requires_grad:
        problem = "gives logits that no gradient leads back from; leave out no_grad and detach"
    elif 0 <= low < high <= 1:
        problem = "gives values from 0 to 1, as after a softmax; leave out its last activation"
    if problem is not None:
        raise SpaceError(f"model.name: {config.bound().keywords['name']} {problem}", parameter="model.name")


@torch.no_grad()
def _tried(config: ModelConfig, classes: int, use: Callable[[SegmentationModel], T]) -> T:
    """`use` of a model that is thrown away: a meta one, without values, or where that fails a real one."""
    try:
        with torch.device("meta"):
            return use(build(config, classes))
    except (Exception, SystemExit):  # it needs values; what else is wrong fails again
        with torch.random.fork_rng(devices=[]):
            return use(build(config, classes))
