"""Ranks, and what only they decide: correlation and tests that hold for scores of any distribution."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import correlation

DRAWS = 4999
"""Permutations; the smallest possible p value is 1 / (DRAWS + 1)."""


@dataclass(frozen=True, slots=True)
class RankSum:
    """Two groups compared.

    Attributes:
        above: the share of pairs in which the value of the first group is higher; ties count half.
        p: two-sided, of the difference from one half.
    """

    above: float
    p: float


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1, ascending; equal values share the mean of theirs."""
    order = sorted(values)
    return [(bisect_left(order, value) + 1 + bisect_right(order, value)) / 2 for value in values]


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation, -1 to 1; each needs two different values."""
    return correlation(ranks(x), ranks(y))


def rank_sum(first: Sequence[float], second: Sequence[float]) -> RankSum:
    """The test of Mann & Whitney (1947) on two non-empty groups; p by permutation, so ties do no harm."""
    import numpy as np  # who asks only for a correlation waits for no NumPy

    pooled = np.array(ranks([*first, *second]))
    low = len(first) * (len(first) + 1) / 2
    expected = len(first) * (len(pooled) + 1) / 2
    observed = pooled[: len(first)].sum()
    rng = np.random.default_rng(0)  # the same records give the same report
    shuffled = rng.permuted(np.tile(pooled, (DRAWS, 1)), axis=1)[:, : len(first)].sum(axis=1)
    extreme = np.abs(shuffled - expected) >= abs(observed - expected) - 1e-9
    p = (1 + int(extreme.sum())) / (1 + DRAWS)
    return RankSum(float((observed - low) / (len(first) * len(second))), p)


def holm(p_values: list[float]) -> list[float]:
    """`p_values` adjusted for their number (Holm 1979), which keeps the family-wise error rate."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
