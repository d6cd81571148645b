"""What every model of the registry is: coarse logits, upsampled to any size.

B batch, C classes, H and W the sides of an image.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional as F

from search.objective import Value


class SegmentationModel(nn.Module, ABC):
    """A model whose logits lie on a grid of its own, usually coarser than the image."""

    def forward(self, images: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Logits (B, C, *size) of `images` (B, 3, H, W) in [0, 1]; `size` is (H, W) unless given."""
        return upsample(self.coarse(images), size or images.shape[2:])

    @abstractmethod
    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, h, w) of `images` (B, 3, H, W), in the images' dtype, under autocast too."""

    def applied(self) -> dict[str, Value]:
        """The options in use by name, read back from the live modules; those absent are not checked."""
        return {}


def upsample(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """(B, C, h, w) to (B, C, *size), bilinear."""
    return logits if logits.shape[2:] == size else F.interpolate(logits, size, mode="bilinear")
