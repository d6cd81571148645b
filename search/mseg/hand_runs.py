"""The weights of older hand runs: their file, and their names for what a MicroSegFormer has here."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from search.errors import DataError

BY_HAND = "best_model.pth"

SIDE = 512
"""Pixels per side of the hand runs' training images."""

NAMES = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"patch_embed(\d)\.proj\.", "stages.{}.patches.conv."),
        (r"patch_embed(\d)\.norm\.", "stages.{}.patches.norm."),
        (r"block(\d)\.(\d)\.norm([12])\.", "stages.{}.blocks.{}.norm{}."),
        (r"block(\d)\.(\d)\.attn\.(q|kv|proj)\.", "stages.{}.blocks.{}.attention.{}."),
        (r"block(\d)\.(\d)\.attn\.sr\.", "stages.{}.blocks.{}.attention.reduce.conv."),
        (r"block(\d)\.(\d)\.attn\.norm\.", "stages.{}.blocks.{}.attention.reduce.norm."),
        (r"block(\d)\.(\d)\.mlp\.fc1\.", "stages.{}.blocks.{}.mlp.0."),
        (r"block(\d)\.(\d)\.mlp\.fc2\.", "stages.{}.blocks.{}.mlp.3."),
        (r"norm(\d)\.", "stages.{}.norm."),
        (r"decoder\.linear_c(\d)\.", "decoder.stages.{}."),
        (r"decoder\.linear_fuse\.0\.", "decoder.fusion."),
        (r"decoder\.linear_fuse\.2\.", "decoder.proj."),
        (r"decoder\.lmsa\.dw_conv3x3\.", "decoder.lmsa.depthwise."),
        (r"decoder\.lmsa\.pw_conv\.", "decoder.lmsa.pointwise."),
        (r"decoder\.lmsa\.bn\.", "decoder.lmsa.norm."),
        (r"decoder\.lmsa\.fc\.0\.", "decoder.lmsa.squeeze."),
        (r"decoder\.lmsa\.fc\.2\.", "decoder.lmsa.excite."),
        (r"decoder\.conv_seg\.", "head."),
    )
)
"""A hand run's name -> ours. A first number is a stage's, which they count from 1 and we from 0."""


def renamed(path: Path, tensors: Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    """A hand run's weights by our names, its 1x1 convolutions as the Linear layers they are here."""
    for name, tensor in tensors.items():
        for pattern, ours in NAMES:
            if found := pattern.match(name):
                stage, *others = found.groups() or ("1",)
                place = ours.format(int(stage) - 1, *others) + name[found.end() :]
                flat = place in ("head.weight", "decoder.lmsa.pointwise.weight")
                yield place, tensor.flatten(1) if flat and tensor.ndim == 4 else tensor
                break
        else:
            raise DataError(f"{path}: its weights have the unknown {name}; they are of another model")
