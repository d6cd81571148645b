"""Tests that look only at ranks: they hold for scores of any distribution."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 4999
"""Permutations; the smallest p value is one in DRAWS + 1."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankSum:
    """Two groups compared.

    Attributes:
        above: the share of pairs in which the one of the first group is higher; ties count half.
        p: two-sided, of the difference from one half.
    """

    above: float
    p: float


def rank_sum(first: ArrayLike, second: ArrayLike) -> RankSum:
    """The test of Mann & Whitney (1947), its p value by permutation, which ties leave exact.

    Both groups have one value or more.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    pooled = ranks(np.concatenate([a, b]))
    low = len(a) * (len(a) + 1) / 2
    expected = len(a) * (len(pooled) + 1) / 2
    observed = pooled[: len(a)].sum()
    rng = np.random.default_rng(0)  # the same records give the same report
    shuffled = rng.permuted(np.tile(pooled, (DRAWS, 1)), axis=1)[:, : len(a)].sum(axis=1)
    extreme = np.abs(shuffled - expected) >= abs(observed - expected) - 1e-9
    p = (1 + int(extreme.sum())) / (1 + DRAWS)
    return RankSum(float((observed - low) / (len(a) * len(b))), p)


def holm(p_values: list[float]) -> list[float]:
    """`p_values` adjusted for their number (Holm 1979): any below 0.05 errs in 1 of 20 families at most."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation; each must have two different values."""
    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def ranks(values: ArrayLike) -> Floats:
    """Ranks from 1, ascending; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: Floats = (last - (counts - 1) / 2)[inverse]
    return shared
