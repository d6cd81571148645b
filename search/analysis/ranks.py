"""Ranks and what two of them have in common, in plain Python: `search status` waits for no NumPy."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import correlation


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1, ascending; equal ones share the mean of theirs."""
    order = sorted(values)
    return [(bisect_left(order, value) + 1 + bisect_right(order, value)) / 2 for value in values]


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation, -1 to 1; each must have two different values."""
    return correlation(ranks(x), ranks(y))
