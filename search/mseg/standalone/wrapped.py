"""A network of somebody else's as a model without this program: what `Imported` is to a training."""

from torch import Tensor, nn

from search.mseg.models.imported import SIDE_MULTIPLE
from search.mseg.models.model import SegmentationModel, padded


class WrappedNetwork(SegmentationModel):
    """A network from images (B, 3, H, W) to logits (B, C, h, w), for sides that are multiples of 8."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, h, w) on the network's own grid."""
        return padded(self.network, images, SIDE_MULTIPLE).to(images.dtype)
