"""MicroSegFormer: a four-stage hierarchical transformer with an all-linear decoder.

After SegFormer (Xie et al. 2021, arXiv:2105.15203), smaller: one attention head everywhere, no
convolution in the MLP, and an optional lightweight multi-scale attention (LMSA) after the fusion.

Notable:
- Features are (B, h, w, D) throughout, as LayerNorm and Linear want them, and a 1x1 convolution is a
  Linear. The other convolutions see a permuted view, which is PyTorch's channels_last: nothing is
  copied, and a bilinear upsampling is ten times as fast on a CPU as in the default layout.
- The decoder runs folded. Everything between a stage's features and the GELU is linear, and a bilinear
  upsampling has weights that sum to one, so the two commute: a stage is projected by the product of its
  Linear and its slice of the fusion at its own resolution, and upsampled after. The head runs at H/4,
  before the last upsampling, for the same reason. The parameters are those of the plain design, which
  tests/unit/mseg/test_models.py holds as a reference.

B batch, C classes, H and W the sides of an image, h and w those of a stage's grid, D a stage's width.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from search.mseg.models.layers import (
    LMSA,
    Block,
    Dropout,
    PatchEmbedding,
    Pointwise,
    channels_first,
    initialise,
)
from search.mseg.models.model import SegmentationModel, padded, upsample
from search.objective import Value


class StageSpec(NamedTuple):
    """What no setting changes about one stage of the encoder."""

    kernel: int  # of the patch embedding
    stride: int  # of the patch embedding
    reduction: int  # of the keys' and values' grid
    dropout: float  # times the option dropout


STAGES = (
    StageSpec(kernel=7, stride=4, reduction=8, dropout=0.5),
    StageSpec(kernel=3, stride=2, reduction=4, dropout=0.75),
    StageSpec(kernel=3, stride=2, reduction=2, dropout=1.0),
    StageSpec(kernel=3, stride=2, reduction=1, dropout=1.25),
)
SIDE_MULTIPLE = math.prod(spec.stride for spec in STAGES)  # 32: every grid comes out whole

StageWidth = Annotated[int, Field(ge=8, le=1024, description="channels of that stage, 8 to 1024")]
StageBlocks = Annotated[int, Field(ge=1, le=32, description="transformer blocks of that stage, 1 to 32")]


class MicroSegFormer(SegmentationModel):
    """With the default settings 1,747,923 parameters for 19 classes; 1,721,939 without LMSA."""

    def __init__(
        self,
        classes: int,
        *,
        lmsa: Annotated[
            bool, Field(description="lightweight multi-scale attention after the decoder's fusion")
        ] = True,
        dropout: Annotated[
            float,
            Field(
                ge=0.0,
                le=0.7,
                description="dropout of stage 3, 0 to 0.7; stages 1, 2 and 4 have 0.5, 0.75 and 1.25 times "
                "as much",
            ),
        ] = 0.15,
        width_1: StageWidth = 32,
        width_2: StageWidth = 64,
        width_3: StageWidth = 128,
        width_4: StageWidth = 192,
        blocks_1: StageBlocks = 1,
        blocks_2: StageBlocks = 2,
        blocks_3: StageBlocks = 2,
        blocks_4: StageBlocks = 2,
        decoder_width: Annotated[
            int, Field(ge=8, le=1024, description="channels of the decoder, 8 to 1024")
        ] = 128,
    ) -> None:
        super().__init__()
        widths = width_1, width_2, width_3, width_4
        blocks = blocks_1, blocks_2, blocks_3, blocks_4
        self.stages = nn.ModuleList(
            EncoderStage(inputs, spec, width, count, dropout)
            for inputs, spec, width, count in zip((3, *widths[:-1]), STAGES, widths, blocks, strict=True)
        )
        self.decoder = Decoder(widths, decoder_width, lmsa)
        self.head = Pointwise(decoder_width, classes)
        self.apply(initialise)
        # Or every convolution would reorder its weights at every step.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, H/4, W/4) in channels_last layout."""
        return padded(self._coarse, images, SIDE_MULTIPLE)

    def _coarse(self, images: Tensor) -> Tensor:
        """As `coarse`, of images whose sides are multiples of 32."""
        x = images.permute(0, 2, 3, 1)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return self.head(self.decoder(features)).to(images.dtype).permute(0, 3, 1, 2)

    def applied(self) -> dict[str, Value]:
        """All options as the live modules have them.

        Raises:
            RuntimeError: a stage's dropout is not the share of stage 3's that STAGES gives it.
        """
        rates = [
            sorted({module.p for module in stage.modules() if isinstance(module, Dropout)})
            for stage in self.stages
        ]
        dropout = next(rate[0] for rate, spec in zip(rates, STAGES, strict=True) if spec.dropout == 1.0)
        expected = [[dropout * spec.dropout] for spec in STAGES]
        if rates != expected:
            raise RuntimeError(f"dropout by stage is {rates}, not {expected}")
        return {
            "dropout": dropout,
            "lmsa": any(isinstance(module, LMSA) for module in self.modules()),
            "decoder_width": self.decoder.proj.out_features,
            **{
                f"width_{i}": stage.get_parameter("norm.weight").numel()
                for i, stage in enumerate(self.stages, 1)
            },
            **{
                f"blocks_{i}": sum(isinstance(module, Block) for module in stage.modules())
                for i, stage in enumerate(self.stages, 1)
            },
        }


class EncoderStage(nn.Module):
    """(B, h, w, inputs) to (B, h/stride, w/stride, D): overlapping patches, blocks, LayerNorm."""

    def __init__(self, inputs: int, spec: StageSpec, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.patches = PatchEmbedding(inputs, width, spec.kernel, spec.stride, spec.kernel // 2)
        self.blocks = nn.Sequential(
            *(Block(width, spec.reduction, dropout * spec.dropout) for _ in range(blocks))
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.blocks(self.patches(x)))


class Decoder(nn.Module):
    """Every stage's features to (B, H/4, W/4, `width`); folded, see the top of this file."""

    def __init__(self, stages: Sequence[int], width: int, lmsa: bool) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Linear(channels, width) for channels in stages)
        self.fusion = nn.Linear(len(stages) * width, width)
        self.proj = nn.Linear(width, width)
        self.lmsa = LMSA(width) if lmsa else nn.Identity()

    def forward(self, features: list[Tensor]) -> Tensor:
        grid = features[0].shape[1:3]
        grow = partial(upsample, size=grid)
        slices = self.fusion.weight.split(self.proj.in_features, dim=1)
        weights = [
            part @ stage.get_parameter("weight") for part, stage in zip(slices, self.stages, strict=True)
        ]
        bias = self.fusion(torch.cat([stage.get_parameter("bias") for stage in self.stages]))
        # On rows a Linear's output is no view. With += on a view, every gradient would be copied.
        fused = F.linear(features[0].flatten(0, 2), weights[0], bias)
        for x, weight in zip(features[1:], weights[1:], strict=True):
            # Under autocast features are float32, as LayerNorm leaves them, and so are these: the
            # gradient of an upsampling adds up to 256 terms.
            grown = channels_first(grow, F.linear(x, weight).to(x.dtype))
            fused += grown.to(fused.dtype).flatten(0, 2)
        return self.lmsa(self.proj(F.gelu(fused).reshape(*features[0].shape[:3], -1)))
