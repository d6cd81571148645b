"""`trainer.compile`: the model's part of a training step, fused by PyTorch's compiler.

Notable:
- One function is compiled for the whole process, and the model is its argument. So the models of all trials
  that differ in their weights and dropout rates share one compilation, which takes minutes. Others, such as
  wider ones, are compiled as well, eight at most.
- A dropout rate is a tensor there. As a number it would be part of what was compiled.
- Attention is written out there, because the fused kernels take the rate as a number.
- What cannot be compiled is trained as it is, and one line of the log says why.

Only training is compiled: validation and latency are those of the plain model.
"""

import logging
import os
import shutil
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from search.mseg.models.layers import Dropout
from search.mseg.models.model import SegmentationModel

log = logging.getLogger(__name__)

COMPILERS = {"cpu": ("CXX", "g++", "clang++"), "cuda": ("CC", "gcc", "clang")}
"""The environment variable that names a compiler, and those that are tried without it."""


class CompiledModel:
    """`SegmentationModel.coarse` of one model in training, compiled at the first call."""

    def __init__(self, model: SegmentationModel, device: torch.device) -> None:
        self.model = model
        for module in model.modules():
            if isinstance(module, Dropout):
                module.rate = torch.tensor(module.p, device=device)
        missing = _missing(device)
        self.works = missing is None
        if missing:
            log.warning("trainer.compile: %s; training continues without it", missing)

    def __call__(self, images: Tensor) -> Tensor:
        if self.works:
            from torch._dynamo.exc import TorchDynamoException

            try:
                return _compiled()(self.model, images)
            except TorchDynamoException as error:
                said = str(error).split("\n\n")[0]  # what follows is advice to PyTorch's developers
                reason = f"{type(error).__name__} {' '.join(said.split())}"
                log.warning("trainer.compile: %s; training continues without it", reason)
                self.works = False
        return self.model.coarse(images)


@cache
def _compiled() -> Any:
    """The function that is compiled, for all models of this process."""
    import torch._dynamo

    torch._dynamo.config.fail_on_recompile_limit_hit = True  # or it continues uncompiled without a word
    return torch.compile(_coarse, dynamic=False)


def _coarse(model: SegmentationModel, images: Tensor) -> Tensor:
    return model.coarse(images)


def _missing(device: torch.device) -> str | None:
    """What the compiler needs on this device and this machine lacks, and the remedy."""
    if device.type not in COMPILERS:
        return f"there is no compiler for {device.type}"
    variable, *usual = COMPILERS[device.type]
    names = [os.environ[variable]] if os.environ.get(variable) else usual
    if not any(shutil.which(name) for name in names):
        return f"no C compiler found ({' or '.join(names)}); install one or set {variable}"
    if device.type == "cuda" and find_spec("triton") is None:
        return "the package triton is missing; install it"
    return None
