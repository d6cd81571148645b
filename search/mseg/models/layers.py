"""Layers of MicroSegFormer, on features (B, h, w, D).

B batch, h and w the sides of a stage's grid, D its width.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GATE_WIDTH = 32


class PatchEmbedding(nn.Module):
    """A strided convolution, then LayerNorm."""

    def __init__(self, inputs: int, width: int, kernel: int, stride: int, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, kernel, stride, padding)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(channels_first(self.conv, x))


class Reduction(PatchEmbedding):
    """A convolution with its stride for a kernel, then LayerNorm: one Linear on tiles of the grid."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__(width, width, side, side)
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        tiles = x.unflatten(2, (-1, self.side)).unflatten(1, (-1, self.side)).transpose(2, 3).flatten(3)
        weight = self.conv.weight.permute(0, 2, 3, 1).flatten(1)  # a view: it is in channels_last
        return self.norm(F.linear(tiles, weight, self.conv.bias))


class CastNorm(nn.LayerNorm):
    """LayerNorm before layers that autocast would each have cast its float32 result: it is cast once."""

    def forward(self, x: Tensor) -> Tensor:
        out, device = super().forward(x), x.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            out = out.to(torch.get_autocast_dtype(device))
        return out


class Block(nn.Module):
    """A pre-norm transformer block: attention, then an MLP of twice the width."""

    def __init__(self, width: int, reduction: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = CastNorm(width)
        self.attention = Attention(width, reduction, dropout)
        self.norm2 = CastNorm(width)
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
    """One-head self-attention whose keys and values come from a grid `reduction` times as coarse.

    (B, h, w, D) to the same shape; h and w are multiples of `reduction`.
    """

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
        compiling = self.training and torch.compiler.is_compiling()  # where the rate must not be read
        rate = 0.0 if compiling or not self.training else self.dropout.p
        if compiling or (rate and query.device.type == "cpu"):
            # PyTorch's fused kernel for CPUs has no dropout, and what replaces it takes 1.7 times as long.
            weights = (query * query.shape[2] ** -0.5 @ key.transpose(1, 2)).softmax(2)
            return self.dropout(weights) @ value
        # The fused kernels take (B, heads, tokens, D) only.
        heads = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        return F.scaled_dot_product_attention(*heads, dropout_p=rate)


class Dropout(nn.Dropout):
    """Dropout at less than half of what PyTorch's costs a CPU, which draws a number for each element.

    Here one draw of 64 bits decides over four elements, so the rate is exact to 2^-17.

    Attributes:
        rate: `p` as a tensor on the model's device, where the model is compiled.
    """

    rate: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if self.training and torch.compiler.is_compiling():
            return x * (torch.rand_like(x, dtype=torch.float32) >= self.rate) / (1 - self.rate)
        if x.device.type != "cpu" or not self.training or self.p == 0.0:
            return super().forward(x)
        draws = torch.empty(math.ceil(x.numel() / 4), dtype=torch.int64).random_(-(2**63), None)
        uniform = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = uniform.ge_(round(self.p * 2**16) - 2**15)
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))


class Pointwise(nn.Linear):
    """A 1x1 convolution: on (B, h, w, D) features a Linear, but initialised as the convolution it is."""


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
        """(B, h, w, D) to the same shape."""
        out = channels_first(self.norm, self.pointwise(channels_first(self.depthwise, x)))
        gate = self.excite(F.relu(self.squeeze(out.mean(dim=(1, 2), keepdim=True)))).sigmoid()
        return gate * out + x


def channels_first(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A layer that wants (B, D, h, w) on (B, h, w, D) features; both permutations are views."""
    return layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def initialise(module: nn.Module) -> None:
    """SegFormer's initialisation; norms keep PyTorch's ones and zeros."""
    if any(weight.is_meta for weight in module.parameters(recurse=False)):
        return  # a model that is only counted; for it PyTorch would import its compiler, 1.5 s
    if isinstance(module, Pointwise):
        nn.init.normal_(module.weight, std=math.sqrt(2 / module.out_features))
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)
