"""What every model of the registry is: coarse logits, upsampled to any size.

B batch, C classes, H and W the sides of an image, h and w those of the logits' grid.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

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
