"""DeepLab: a convolutional encoder, spatial pyramid pooling and a decoder with skips.

After DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611), smaller and made to be trained from scratch: every
3x3 convolution but the first two is depthwise separable, residual blocks take the place of Xception, and
the decoder sees the features at stride 8 beside those at stride 4, as in Panoptic-DeepLab (Cheng et al.
2020, arXiv:1911.10194). No convolution of the encoder is dilated: a CPU takes several times as long.

B batch, C classes, H and W the sides of an image.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from search.mseg.models.convolutions import ConvNorm, Residual, SeparableConv, Width, channels_last
from search.mseg.models.layers import Dropout, Pointwise, initialise
from search.mseg.models.model import SegmentationModel, padded, upsample
from search.objective import Value

DILATIONS = (2, 4, 8)
"""Of the pyramid's 3x3 convolutions, on the encoder's last grid."""

SKIP_WIDTH = 48


class DeepLab(SegmentationModel):
    """With the default settings 1,606,771 parameters for 19 classes."""

    def __init__(
        self,
        classes: int,
        *,
        width: Width = 32,
        depth: Annotated[
            int,
            Field(
                ge=1,
                le=16,
                description="residual blocks at stride 4 and at stride 8, 1 to 16; then twice as many",
            ),
        ] = 4,
        decoder_width: Width = 128,
        output_stride: Annotated[
            Literal[8, 16], Field(description="pixels per cell of the encoder's last grid; 8 takes longer")
        ] = 16,
        dropout: Annotated[
            float, Field(ge=0.0, le=0.7, description="before the classifier, 0 to 0.7")
        ] = 0.1,
    ) -> None:
        super().__init__()
        self.stem = ConvNorm(3, width, stride=2)
        self.stages = nn.ModuleList(
            [
                _stage(width, 2 * width, depth, stride=2),
                _stage(2 * width, 4 * width, depth, stride=2),
                _stage(4 * width, 8 * width, 2 * depth, stride=output_stride // 8),
            ]
        )
        self.pyramid = Pyramid(8 * width, decoder_width)
        self.skips = nn.ModuleList([ConvNorm(4 * width, SKIP_WIDTH, 1), ConvNorm(2 * width, SKIP_WIDTH, 1)])
        self.fusions = nn.ModuleList(
            [
                SeparableConv(decoder_width + SKIP_WIDTH, decoder_width),
                nn.Sequential(
                    SeparableConv(decoder_width + SKIP_WIDTH, decoder_width),
                    SeparableConv(decoder_width, decoder_width),
                ),
            ]
        )
        self.dropout = Dropout(dropout)
        self.head = Pointwise(decoder_width, classes)
        self.apply(initialise)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, H/4, W/4) in channels_last layout."""
        return padded(self._coarse, images, 16)

    def _coarse(self, images: Tensor) -> Tensor:
        """As `coarse`, of images whose sides are multiples of 16."""
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        x = self.pyramid(features.pop())
        for skip, fusion in zip(self.skips, self.fusions, strict=True):
            fine = features.pop()
            x = fusion(torch.cat([upsample(x, fine.shape[2:]), skip(fine)], 1))
        return channels_last(self.head, self.dropout(x)).to(images.dtype)

    def applied(self) -> dict[str, Value]:
        """All options as the live modules have them."""
        strides = [module.stride[0] for module in self.stages.modules() if isinstance(module, nn.Conv2d)]
        first = next(self.stages.children())
        return {
            "width": self.stem.get_parameter("1.weight").numel(),
            "depth": len(list(first.children())),
            "decoder_width": self.head.in_features,
            "output_stride": 2 * math.prod(strides),
            "dropout": self.dropout.p,
        }


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: views of several sizes of the same features, and their mean."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.views = nn.ModuleList(
            [
                ConvNorm(inputs, width, 1),
                *(SeparableConv(inputs, width, dilation=dilation) for dilation in DILATIONS),
            ]
        )
        self.whole = ConvNorm(inputs, width, 1)
        self.project = ConvNorm((len(DILATIONS) + 2) * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, width, h, w)."""
        whole = self.whole(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.project(torch.cat([*(view(x) for view in self.views), whole], 1))


def _stage(inputs: int, width: int, blocks: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        Residual(SeparableConv, inputs, width, stride=stride),
        *(Residual(SeparableConv, width, width) for _ in range(blocks - 1)),
    )
