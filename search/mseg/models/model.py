"""What every model of the registry is: coarse logits, upsampled to any size.

B batch, C classes, H and W the sides of an image, h and w those of the logits' grid.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search.objective import Value


class SegmentationModel(nn.Module, ABC):
    """A model whose logits are on a grid of its own, usually coarser than the image."""

    def forward(self, images: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Logits (B, C, *size) of `images` (B, 3, H, W) in [0, 1]; `size` is (H, W) unless given."""
        return upsample(self.coarse(images), size or images.shape[2:])

    @abstractmethod
    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, h, w) of `images` (B, 3, H, W), in the images' dtype, under autocast too.

        H and W are multiples of 8. A network that needs multiples of more uses `padded`.
        """

    def applied(self) -> dict[str, Value]:
        """The options in use by name, read back from the live modules; those absent are not checked."""
        return {}


def trainable(model: nn.Module) -> int:
    """How many of the model's parameters are trained."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def upsample(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """(B, C, h, w) to (B, C, *size), bilinear."""
    return logits if logits.shape[2:] == size else F.interpolate(logits, size, mode="bilinear")


def upsample_planes(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """As `upsample`, on a CPU by two products of matrices, to logits that lie class by class in memory.

    The products cost more than `F.interpolate` does, but then a loss runs along rows of pixels, not along a
    few classes, which saves it twice as much.
    """
    if logits.device.type != "cpu" or logits.shape[2:] == size:
        return upsample(logits, size)
    rows, columns = (
        _weights(few, many, logits.dtype) for few, many in zip(logits.shape[2:], size, strict=True)
    )
    wide = (logits.contiguous() @ columns.T).flatten(0, 1)
    return torch.bmm(rows.expand(len(wide), *rows.shape), wide).unflatten(0, logits.shape[:2])


@cache
@torch.inference_mode(False)  # autograd refuses tensors that were made in it
def _weights(few: int, many: int, dtype: torch.dtype) -> Tensor:
    """(many, few), how much each of `few` values counts in `many` that are interpolated between them."""
    return F.interpolate(torch.eye(few, dtype=dtype)[None], many, mode="linear")[0].T.contiguous()


def largest(logits: Tensor) -> Tensor:
    """The class of the largest of the logits (B, C, H, W), the first of equal ones: (B, H, W)."""
    if not logits.is_contiguous() or logits.device.type != "cpu":
        return logits.argmax(1)
    # PyTorch's argmax over anything but the last dimension looks at one number at a time.
    last = logits.shape[1] - 1
    behind = torch.arange(last, -1, -1, dtype=torch.uint8)[:, None, None]
    return last - ((logits == logits.amax(1, keepdim=True)) * behind).amax(1)


def padded(network: Callable[[Tensor], Tensor], images: Tensor, multiple: int) -> Tensor:
    """Logits (B, C, h, w) by a `network` that needs sides which are multiples of `multiple`.

    Other images are continued to the right and to the bottom by their last pixels, and the logits are
    cropped. Where the crop would cut through the logits' grid, they are upsampled before.
    """
    height, width = images.shape[2:]
    below, right = -height % multiple, -width % multiple
    if not below and not right:
        return network(images)
    whole = height + below, width + right
    logits = network(F.pad(images, (0, right, 0, below), mode="replicate"))
    rows, columns = logits.shape[2:]
    if rows * height % whole[0] or columns * width % whole[1]:
        logits, (rows, columns) = upsample(logits, whole), whole
    return logits[:, :, : rows * height // whole[0], : columns * width // whole[1]]
