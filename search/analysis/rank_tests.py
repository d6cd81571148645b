"""Tests that look only at ranks: they hold for scores of any distribution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.ranks import ranks

DRAWS = 4999
"""Permutations; the smallest p value is one in DRAWS + 1."""


@dataclass(frozen=True, slots=True)
class RankSum:
    """Two groups compared.

    Attributes:
        above: the share of pairs in which the one of the first group is higher; ties count half.
        p: two-sided, of the difference from one half.
    """

    above: float
    p: float


def rank_sum(first: Sequence[float], second: Sequence[float]) -> RankSum:
    """The test of Mann & Whitney (1947), its p value by permutation, which ties leave exact.

    Both groups have one value or more.
    """
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
    """`p_values` adjusted for their number (Holm 1979): any below 0.05 errs in 1 of 20 families at most."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
