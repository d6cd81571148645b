"""Racing: which configs get the next seed, and what has been decided. Pure: scores in, decisions out.

All configs get `first` seeds. Each further round adds one seed for the reference and for every config still
undecided against it, until none is or `last` is reached. Decisions are made between rounds only, when every
planned training has ended: they are a function of finished results, so every worker reaches the same ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from search.analysis.image_intervals import ImageDifference
from search.analysis.paired_seeds import Blocks, Floats, nominal_level
from search.scoring import Direction
from search.study.plan import Plan

REFERENCE = 0  # the config that all others are compared with

Side = Literal["higher", "lower", "same", "futile"]
"""What was decided: `same`: the two differ by less than the margin. `futile`: hardly any chance is left to
settle it."""

Cell = tuple[int, int]
"""A config and a block, which is one seed: what one slot trains."""


@dataclass(frozen=True, slots=True)
class RaceDecision:
    """What was decided about a config and the reference, after so many seeds."""

    side: Side
    seeds: int


Decisions = list[RaceDecision | None]
"""By config; None where nothing is decided, as for the reference."""


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a plan so far.

    Attributes:
        scores: value by config and block, (configs, blocks planned); NaN where there is none.
        planned: trainings. running: those that have not ended. lost: those that ended without a value.
        rounds: number of blocks, from the first on, in which every training has ended.
    """

    scores: Floats
    planned: int
    running: int
    lost: int
    rounds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrainingAnswer:
    """What the answers of `search confirm` and `search ablate` have in common.

    Attributes:
        open: trainings that are planned and have not ended. lost: those that ended without a value.
        ended: whether nothing more will be planned. noise: standard deviation of one value over seeds.
        over_images: the differences over seeds and images, where scores by image were kept.
    """

    study: str
    plan: Plan
    direction: Direction
    planned: int
    open: int
    lost: int
    ended: bool
    noise: float | None
    over_images: Sequence[ImageDifference] = ()

    def progress_to_json(self) -> dict[str, Any]:
        """The keys that both objects share."""
        return {
            "study": self.study,
            "of": self.plan.of,
            "ended": self.ended,
            "seeds": {"first": self.plan.first, "last": self.plan.last},
            "trials": {
                "planned": self.planned,
                "open": self.open,
                "lost": self.lost,
                "limit": self.plan.trials,
            },
            "noise": self.noise,
            "over_images": [difference.to_json() for difference in self.over_images],
        }


def decisions(scores: Floats, first: int, last: int) -> Decisions:
    """The decisions where the noise is pooled over all configs: of ablations, and of older races.

    Each is made at the first look that allowed one. Races have `search.analysis.paired_race` now.

    Args:
        scores: (configs, seeds), NaN where there is none; of finished rounds only.
    """
    configs, seeds = scores.shape
    made: Decisions = [None] * configs
    nominal = nominal_level(configs - 1, first, last)
    for seen in range(first, seeds + 1):
        blocks = Blocks(scores[:, :seen])
        for config in range(1, configs):
            gain = blocks.difference(config, REFERENCE) if made[config] is None else None
            if gain is not None and gain.p <= nominal:
                made[config] = RaceDecision("higher" if gain.value > 0 else "lower", seen)
    return made


def next_round(
    scores: Floats, first: int, last: int, decide: Callable[[Floats], Decisions], sign: int = 1
) -> list[Cell]:
    """What to train next, the most promising first; nothing if all is settled or the seeds are used up.

    Args:
        decide: the decision on each config, given the scores so far.
        sign: 1 where higher scores are better, else -1.
    """
    configs, seeds = scores.shape
    if seeds < first:
        return [(config, block) for block in range(seeds, first) for config in range(configs)]
    if seeds >= last:
        return []
    means = sign * np.array([np.nanmean(row) if np.isfinite(row).any() else -np.inf for row in scores])
    decided = decide(scores)
    undecided = [config for config in range(1, configs) if decided[config] is None]
    undecided.sort(key=lambda config: -means[config])
    return [(config, seeds) for config in (REFERENCE, *undecided)] if undecided else []


def affordable(cells: Sequence[Cell], planned: int, trials: int | None) -> list[Cell]:
    """As many as the budget allows; a round with nothing but the reference is dropped."""
    kept = list(cells) if trials is None else list(cells[: max(0, trials - planned)])
    return [] if kept == [cell for cell in kept if cell[0] == REFERENCE] else kept
