"""How many pruned trials would have ended better than the best one kept, judging by the control group.

The controls are a random sample of the trials that the rule ends, so each stands for as many of the others
(Horvitz and Thompson 1952). The bound is that of a draw without replacement, and exact (hypergeometric):
with three controls of 30 such trials, none of them better, it is 18 of the other 27.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search import formatting
from search.analysis.interval import LEVEL
from search.records import Record
from search.scoring import Direction, best_value


@dataclass(frozen=True, slots=True)
class BetterPruned:
    """How many pruned trials would have ended better than the best complete one that is not a control.

    Attributes:
        controls: how many controls did.
        estimate: of the number of pruned trials. at_most: its one-sided 95 % bound.
    """

    controls: int
    estimate: float
    at_most: int

    def sentence(self, pruned: int) -> str:
        trials = f"{pruned} pruned {'trial' if pruned == 1 else 'trials'}"
        return (
            f"by the controls, about {self.estimate:.0f} of {trials} would have ended better than the best "
            f"of those kept, at most {self.at_most} (95 %)"
        )


def better_pruned(
    controls: Sequence[Record], kept: Sequence[float], pruned: int, direction: Direction
) -> BetterPruned | None:
    """None without a control, or without another complete trial.

    Args:
        controls: those that ended. kept: the values of the complete trials that are none.
        pruned: the number of trials that the rule ended.
    """
    if not controls or not kept:
        return None
    better = count_better(controls, best_value(kept, direction), direction)
    most = largest_count(better, len(controls), len(controls) + pruned)
    return BetterPruned(better, better * pruned / len(controls), most - better)


def count_better(controls: Sequence[Record], bar: float, direction: Direction) -> int:
    """How many controls ended with a value better than `bar`."""
    values = (record.value for record in controls if record.state == "complete")
    return sum((formatting.gain(value, bar, direction) or 0.0) > 0 for value in values)


def largest_count(found: int, drawn: int, population: int) -> int:
    """The largest number in a population that leaves at most `found` among `drawn` in 5 % of draws."""
    ways = math.comb(population, drawn)

    def chance(number: int) -> float:
        """Of drawing at most `found` of `number`."""
        few = range(found + 1)
        return sum(math.comb(number, k) * math.comb(population - number, drawn - k) for k in few) / ways

    return max(number for number in range(found, population + 1) if chance(number) >= 1 - LEVEL)
