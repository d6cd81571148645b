"""How much each parameter matters for being among the best, as figures; `search.importance` finds them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """One parameter.

    Attributes:
        share: of all importance, 0 to 1. low, high: its 95 % interval over resampled trials.
        trials: how many complete trials have it.
    """

    name: str
    share: float
    low: float
    high: float
    trials: int


@dataclass(frozen=True, slots=True)
class Importance:
    """Of all parameters, the largest first.

    Attributes:
        trials: how many complete trials it is estimated from. top: how many of them count as the best.
        chance: what the largest share stays below in 97.5 % of shufflings, after which nothing matters.
        resamples: of the trials, for the intervals. shufflings: of their values, for the level of chance.
    """

    shares: Sequence[Share]
    trials: int
    top: int
    chance: float
    resamples: int
    shufflings: int

    def stands_out(self, share: Share) -> bool:
        """Whether it is above what chance gives the largest of all: one test for all of them."""
        return share.share > self.chance
