"""A small U-Net: a convolutional encoder, and a decoder that sees every level of it.

After Ronneberger et al. 2015 (arXiv:1505.04597). The first level has half the image's sides, the encoder's
levels are residual, and the decoder halves the channels before it upsamples: this saves most of the time
and of the parameters.

B batch, C classes, H and W the sides of an image.
"""

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from search.mseg.models.convolutions import ConvNorm, Residual, Width, channels_last
from search.mseg.models.layers import Dropout, Pointwise, initialise
from search.mseg.models.model import SegmentationModel, padded, upsample
from search.objective import Value


class UNet(SegmentationModel):
    """With the default settings 1,648,723 parameters for 19 classes."""

    def __init__(
        self,
        classes: int,
        *,
        width: Width = 32,
        depth: Annotated[
            int, Field(ge=1, le=5, description="how often sides halve and channels double, 1 to 5")
        ] = 3,
        dropout: Annotated[
            float, Field(ge=0.0, le=0.7, description="of the coarsest level, 0 to 0.7")
        ] = 0.1,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.stem = nn.Sequential(ConvNorm(3, width, stride=2), ConvNorm(width, width))
        self.down = nn.ModuleList(
            Residual(ConvNorm, finer, coarser, stride=2) for finer, coarser in pairwise(widths)
        )
        self.dropout = Dropout(dropout)
        self.up = nn.ModuleList(Up(coarser, finer) for finer, coarser in reversed(list(pairwise(widths))))
        self.head = Pointwise(width, classes)
        self.apply(initialise)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, H/2, W/2) in channels_last layout."""
        return padded(self._coarse, images, 2 ** (len(self.down) + 1))

    def _coarse(self, images: Tensor) -> Tensor:
        """As `coarse`, of images whose every level has a whole grid."""
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        levels = []
        for down in self.down:
            levels.append(x)
            x = down(x)
        x = self.dropout(x)
        for up in self.up:
            x = up(x, levels.pop())
        return channels_last(self.head, x).to(images.dtype)

    def applied(self) -> dict[str, Value]:
        """All options as the live modules have them."""
        return {"width": self.head.in_features, "depth": len(self.down), "dropout": self.dropout.p}


class Up(nn.Module):
    """From one level to the next finer one, with the encoder's features of that level."""

    def __init__(self, coarser: int, finer: int) -> None:
        super().__init__()
        self.reduce = ConvNorm(coarser, finer, 1)
        self.fuse = ConvNorm(2 * finer, finer)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        return self.fuse(torch.cat([upsample(self.reduce(x), level.shape[2:]), level], 1))
