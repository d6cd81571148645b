"""Racing: which configs get the next seed, and what has been decided. Pure: scores in, decisions out.

All configs get `first` seeds. Then each round has one seed more, for the reference and for whatever is
still open against it, until nothing is or `last` is reached. Decisions fall between rounds only, when
every training of the plan has ended: they are a function of finished results, and whoever takes one
comes to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from search.analysis.paired_seeds import Blocks, Floats, nominal_level

REFERENCE = 0  # the config that all others are held against

Cell = tuple[int, int]
"""A config and a block, which is one seed: what a slot trains."""


@dataclass(frozen=True, slots=True)
class Call:
    """A config called higher or lower than the reference, after so many seeds."""

    side: Literal["higher", "lower"]
    seeds: int


@dataclass(frozen=True, slots=True)
class Results:
    """What has come of a plan so far.

    Attributes:
        scores: value by config and block, (configs, blocks planned); NaN where there is none.
        planned: trainings. running: those that have not ended. lost: those that ended without a value.
        rounds: how many blocks, from the first on, have ended for everybody.
    """

    scores: Floats
    planned: int
    running: int
    lost: int
    rounds: int


def calls(scores: Floats, first: int, last: int, level: float = 0.05) -> list[Call | None]:
    """What was called of each config at the first look that told; None where none did.

    Args:
        scores: (configs, seeds), NaN where there is none; of finished rounds only.
        level: the share of races of equal configs in which anything is called.
    """
    configs, seeds = scores.shape
    found: list[Call | None] = [None] * configs
    nominal = nominal_level(configs - 1, first, last, level)
    for seen in range(first, seeds + 1):
        blocks = Blocks(scores[:, :seen])
        for config in range(1, configs):
            gain = blocks.difference(config, REFERENCE) if found[config] is None else None
            if gain is not None and gain.p <= nominal:
                found[config] = Call("higher" if gain.value > 0 else "lower", seen)
    return found


def next_round(scores: Floats, first: int, last: int, level: float = 0.05, sign: int = 1) -> list[Cell]:
    """What is trained next, the most promising first; nothing where all is settled or spent.

    Args:
        sign: 1 where higher scores are better, else -1.
    """
    configs, seeds = scores.shape
    if seeds < first:
        return [(config, block) for block in range(seeds, first) for config in range(configs)]
    if seeds >= last:
        return []
    means = sign * np.array([np.nanmean(row) if np.isfinite(row).any() else -np.inf for row in scores])
    decided = calls(scores, first, last, level)
    open_ones = [config for config in range(1, configs) if decided[config] is None]
    open_ones.sort(key=lambda config: -means[config])
    return [(config, seeds) for config in (REFERENCE, *open_ones)] if open_ones else []


def affordable(cells: Sequence[Cell], planned: int, trials: int | None) -> list[Cell]:
    """As many as the budget has room for; a round in which nothing meets the reference is none."""
    kept = list(cells) if trials is None else list(cells[: max(0, trials - planned)])
    return [] if kept == [cell for cell in kept if cell[0] == REFERENCE] else kept
