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
  tests/test_model.py holds as a reference.

B batch, C classes, H and W the sides of an image, h and w those of a stage's grid, D a stage's width.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from search.errors import SpaceError, unknown_name
from search.objective import Value


class StageSpec(NamedTuple):
    kernel: int  # of the patch embedding
    stride: int  # of the patch embedding
    width: int
    blocks: int
    reduction: int  # of the keys' and values' grid
    dropout: float  # times ModelConfig.dropout


STAGES = (
    StageSpec(kernel=7, stride=4, width=32, blocks=1, reduction=8, dropout=0.5),
    StageSpec(kernel=3, stride=2, width=64, blocks=2, reduction=4, dropout=0.75),
    StageSpec(kernel=3, stride=2, width=128, blocks=2, reduction=2, dropout=1.0),
    StageSpec(kernel=3, stride=2, width=192, blocks=2, reduction=1, dropout=1.25),
)
SIDE_MULTIPLE = math.prod(spec.stride for spec in STAGES)  # 32: every grid comes out whole
DECODER_WIDTH = 128
GATE_WIDTH = 32


class ModelConfig(BaseModel):
    """The section `model` of space.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field("microsegformer", description="a name in MODELS")
    lmsa: bool = Field(True, description="lightweight multi-scale attention after the decoder's fusion")
    dropout: float = Field(
        0.15,
        ge=0.0,
        le=0.7,
        description="dropout of stage 3, 0 to 0.7; stages 1, 2 and 4 have 0.5, 0.75 and 1.25 times as much",
    )

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in MODELS:
            raise SpaceError(unknown_name("model.kind", kind, MODELS), parameter="model.kind")
        return kind


def build(config: ModelConfig, classes: int) -> "SegmentationModel":
    """The model `config` names, freshly initialised from PyTorch's global generator."""
    return MODELS[config.kind](config, classes)


def parameters(config: ModelConfig, classes: int) -> int:
    """How many trainable parameters the model would have; allocates none of them."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in build(config, classes).parameters())


def applied(model: nn.Module) -> dict[str, Value]:
    """What a MicroSegFormer runs with, read back from its live modules, by parameter name.

    Raises:
        RuntimeError: a stage's dropout is not the share of stage 3's that STAGES gives it.
    """
    stages = [module for module in model.modules() if isinstance(module, Stage)]
    found = [
        sorted({module.p for module in stage.modules() if isinstance(module, Dropout)}) for stage in stages
    ]
    dropout = next(rates[0] for rates, spec in zip(found, STAGES, strict=True) if spec.dropout == 1.0)
    expected = [[dropout * spec.dropout] for spec in STAGES]
    if found != expected:
        raise RuntimeError(f"dropout by stage is {found}, not {expected}")
    return {
        "model.dropout": dropout,
        "model.lmsa": any(isinstance(module, LMSA) for module in model.modules()),
    }


class SegmentationModel(nn.Module, ABC):
    """What MODELS builds: logits on a grid of the model's own, upsampled to any size."""

    def forward(self, images: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Logits (B, C, *size) of `images` (B, 3, H, W) in [0, 1]; `size` is (H, W) unless given."""
        return upsample(self.coarse(images), size or images.shape[2:])

    @abstractmethod
    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, h, w) of `images` (B, 3, H, W), in the images' dtype, under autocast too."""


class MicroSegFormer(SegmentationModel):
    """1,747,923 parameters for 19 classes; 1,721,939 without LMSA."""

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        channels = [3, *(spec.width for spec in STAGES)]
        self.stages = nn.ModuleList(
            Stage(inputs, spec, config.dropout) for inputs, spec in zip(channels, STAGES, strict=False)
        )
        self.decoder = Decoder(config.lmsa)
        self.head = Pointwise(DECODER_WIDTH, classes)
        self.apply(_initialise)
        # Or every convolution would reorder its weights at every step.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def coarse(self, images: Tensor) -> Tensor:
        """Logits (B, C, H/4, W/4) in channels_last layout.

        Raises:
            ValueError: H or W is not a multiple of 32.
        """
        height, width = images.shape[2:]
        if height % SIDE_MULTIPLE or width % SIDE_MULTIPLE:
            raise ValueError(
                f"images are {height} x {width}; MicroSegFormer needs sides that are multiples of "
                f"{SIDE_MULTIPLE}: resize or pad them"
            )
        x = images.permute(0, 2, 3, 1)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return self.head(self.decoder(features)).to(images.dtype).permute(0, 3, 1, 2)


class Stage(nn.Module):
    """(B, h, w, inputs) to (B, h/stride, w/stride, D): overlapping patches, blocks, LayerNorm."""

    def __init__(self, inputs: int, spec: StageSpec, dropout: float) -> None:
        super().__init__()
        self.patches = PatchEmbedding(inputs, spec.width, spec.kernel, spec.stride, spec.kernel // 2)
        self.blocks = nn.Sequential(
            *(Block(spec.width, spec.reduction, dropout * spec.dropout) for _ in range(spec.blocks))
        )
        self.norm = nn.LayerNorm(spec.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.blocks(self.patches(x)))


class PatchEmbedding(nn.Module):
    """A strided convolution, then LayerNorm."""

    def __init__(self, inputs: int, width: int, kernel: int, stride: int, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, kernel, stride, padding)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(_channels_first(self.conv, x))


class Reduction(PatchEmbedding):
    """A convolution with its stride for a kernel, then LayerNorm: one Linear on tiles of the grid."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__(width, width, side, side)
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        tiles = x.unflatten(2, (-1, self.side)).unflatten(1, (-1, self.side)).transpose(2, 3).flatten(3)
        weight = self.conv.weight.permute(0, 2, 3, 1).flatten(1)  # a view: it is in channels_last
        return self.norm(F.linear(tiles, weight, self.conv.bias))


class Block(nn.Module):
    """A pre-norm transformer block: attention, then an MLP of twice the width."""

    def __init__(self, width: int, reduction: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, reduction, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(2 * width, width),
            Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    """One-head self-attention whose keys and values come from a grid `reduction` times as coarse."""

    def __init__(self, width: int, reduction: int, dropout: float) -> None:
        super().__init__()
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.reduce = Reduction(width, reduction) if reduction > 1 else nn.Identity()
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        query = self.q(x).flatten(1, 2)
        key, value = self.kv(self.reduce(x)).flatten(1, 2).chunk(2, dim=-1)
        return self.dropout(self.proj(self._attend(query, key, value).view(x.shape)))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Values (B, n, D) mixed for each of the (B, m, D) queries."""
        rate = self.dropout.p if self.training else 0.0
        if rate and query.device.type == "cpu":
            # PyTorch's fused kernel for CPUs has no dropout, and its stand-in takes 1.7 times as long.
            weights = (query * query.shape[2] ** -0.5 @ key.transpose(1, 2)).softmax(2)
            return self.dropout(weights) @ value
        # The fused kernels take (B, heads, tokens, D) only.
        heads = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        return F.scaled_dot_product_attention(*heads, dropout_p=rate)


class Dropout(nn.Dropout):
    """Dropout at less than half of what PyTorch's costs a CPU, which draws a number for each element.

    Here one draw of 64 bits decides over four elements, so the rate is exact to 2^-17.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.training or self.p == 0.0:
            return super().forward(x)
        draws = torch.empty(math.ceil(x.numel() / 4), dtype=torch.int64).random_(-(2**63), None)
        uniform = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = uniform.ge_(round(self.p * 2**16) - 2**15)
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))


class Pointwise(nn.Linear):
    """A 1x1 convolution: on (B, h, w, D) features a Linear, but initialised as the convolution it is."""


class Decoder(nn.Module):
    """Every stage's features to (B, H/4, W/4, 128); folded, see the top of this file."""

    def __init__(self, lmsa: bool) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Linear(spec.width, DECODER_WIDTH) for spec in STAGES)
        self.fusion = nn.Linear(len(STAGES) * DECODER_WIDTH, DECODER_WIDTH)
        self.proj = nn.Linear(DECODER_WIDTH, DECODER_WIDTH)
        self.lmsa = LMSA(DECODER_WIDTH) if lmsa else nn.Identity()

    def forward(self, features: list[Tensor]) -> Tensor:
        grow = partial(upsample, size=features[0].shape[1:3])
        slices = self.fusion.weight.split(DECODER_WIDTH, dim=1)
        weights = [
            part @ stage.get_parameter("weight") for part, stage in zip(slices, self.stages, strict=True)
        ]
        bias = self.fusion(torch.cat([stage.get_parameter("bias") for stage in self.stages]))
        fused = F.linear(features[0], weights[0], bias)
        for x, weight in zip(features[1:], weights[1:], strict=True):
            # Under autocast features are float32, as LayerNorm leaves them, and so are these: the
            # gradient of an upsampling adds up to 256 terms.
            grown = _channels_first(grow, F.linear(x, weight).to(x.dtype))
            fused = fused + grown.to(fused.dtype)  # += on a view would copy every gradient
        return self.lmsa(self.proj(F.gelu(fused)))


class LMSA(nn.Module):
    """Lightweight multi-scale attention: a depthwise-separable convolution under a channel gate.

    The gate is squeeze-and-excitation's (Hu et al. 2018, arXiv:1709.01507).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.pointwise = Pointwise(width, width, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.squeeze = nn.Linear(width, GATE_WIDTH, bias=False)
        self.excite = nn.Linear(GATE_WIDTH, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = _channels_first(self.norm, self.pointwise(_channels_first(self.depthwise, x)))
        gate = self.excite(F.relu(self.squeeze(out.mean(dim=(1, 2), keepdim=True)))).sigmoid()
        return gate * out + x


def _channels_first(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A layer that wants (B, D, h, w) on (B, h, w, D) features; both permutations are views."""
    return layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def upsample(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """(B, C, h, w) to (B, C, *size), bilinear."""
    return logits if logits.shape[2:] == size else F.interpolate(logits, size, mode="bilinear")


def _initialise(module: nn.Module) -> None:
    """SegFormer's initialisation; norms keep PyTorch's ones and zeros."""
    if isinstance(module, Pointwise):
        nn.init.normal_(module.weight, std=math.sqrt(2 / module.out_features))
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


MODELS = {"microsegformer": MicroSegFormer}
