"""The masks that predictions are scored against: of one size, or each of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from search.mseg.data.fitting import Size


@dataclass(frozen=True, slots=True)
class RaggedMasks:
    """Masks of different sizes, one after the other in one tensor.

    Attributes:
        values: (P,) uint8, the pixels of all masks.
        sizes: of each mask.
        ends: where each mask ends in `values`.
    """

    values: Tensor
    sizes: tuple[Size, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, values: Tensor, sizes: Sequence[Size]) -> "RaggedMasks":
        """The masks of these sizes in `values`."""
        return cls(values, tuple(sizes), tuple(accumulate(height * width for height, width in sizes)))

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Tensor:
        """Mask (H, W) number `index`, a view."""
        size, end = self.sizes[index], self.ends[index]
        return self.values[end - size[0] * size[1] : end].view(size)

    def map(self, function: Callable[[Tensor], Tensor]) -> "RaggedMasks":
        """The same masks with all their pixels passed through `function`, such as one that moves them."""
        return replace(self, values=function(self.values))


Targets = Tensor | RaggedMasks
"""(N, He, We) uint8 if all have one size. `targets[i]` is a mask (He, We) either way."""


def targets_of(masks: Sequence[Tensor]) -> Targets:
    """Masks (H, W) as one object: a tensor if they have one size."""
    sizes = [(mask.shape[0], mask.shape[1]) for mask in masks]
    if len(set(sizes)) == 1:
        return torch.stack(list(masks))
    return RaggedMasks.of(torch.cat([mask.flatten() for mask in masks]), sizes)
