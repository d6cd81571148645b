"""Layers of the convolutional models, on features (B, D, h, w) in PyTorch's channels_last layout.

B batch, D channels, h and w the sides of a grid.

Normalisation is GroupNorm (Wu and He 2018, arXiv:1803.08494). It looks at one image alone: batches may be
small, averaged weights need no statistics of their own, and evaluation computes what training did.
"""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from search.mseg.models.layers import Pointwise

GROUP = 8
"""Channels that are normalised together, per image."""

Width = Annotated[
    int, Field(ge=8, le=512, multiple_of=GROUP, description="channels, a multiple of 8 from 8 to 512")
]


class PointConv(Pointwise):
    """A 1x1 convolution as a product of matrices, which a CPU computes faster."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__(inputs, width, bias=False)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(super().forward, x[..., :: self.stride, :: self.stride])


class ConvNorm(nn.Sequential):
    """A convolution that keeps the grid or strides over it, GroupNorm, ReLU."""

    def __init__(
        self, inputs: int, width: int, kernel: int = 3, *, stride: int = 1, active: bool = True
    ) -> None:
        super().__init__(
            PointConv(inputs, width, stride)
            if kernel == 1
            else nn.Conv2d(inputs, width, kernel, stride, kernel // 2, bias=False),
            nn.GroupNorm(width // GROUP, width),
            *([nn.ReLU(inplace=True)] if active else []),
        )


class SeparableConv(nn.Sequential):
    """A 3x3 convolution of each channel alone, then one across the channels, GroupNorm, ReLU."""

    def __init__(
        self, inputs: int, width: int, *, stride: int = 1, dilation: int = 1, active: bool = True
    ) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, groups=inputs, bias=False),
            *ConvNorm(inputs, width, 1, active=active),
        )


class Residual(nn.Module):
    """`x` plus two convolutions of it (He et al. 2016, arXiv:1512.03385).

    Where the grid or the channels change, `x` goes through a 1x1 convolution.
    """

    def __init__(
        self, layer: Callable[..., nn.Module], inputs: int, width: int, *, stride: int = 1
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(layer(inputs, width, stride=stride), layer(width, width, active=False))
        changes = inputs != width or stride != 1
        self.shortcut = (
            ConvNorm(inputs, width, 1, stride=stride, active=False) if changes else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.shortcut(x)).relu()


def channels_last(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A layer that wants (B, h, w, D) on (B, D, h, w) features; both permutations are views."""
    return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
