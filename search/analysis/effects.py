"""Which change made the difference between A and B, and what to train to find out. Pure NumPy.

A, B, and A with each change alone are trained on the same seeds.

    effect of a change   = (A with it) - A
    interaction of a pair = (A with both) - (A with one) - (A with the other) + A
    unexplained          = (B - A) - all effects - the interactions of the pairs that were trained

While the unexplained part is beyond noise at 5 %, pairs are trained, those with the largest effects first:
changes that interact mostly have an effect of their own (heredity: Hamada & Wu 1992). Then further seeds go
to A, B and what is still open, the largest first. An effect is open until it is decided, as in a race, or
known to be small: until no value in its interval is half as large as the largest effect. With two changes B
itself is the pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from search.analysis.paired_seeds import Blocks, Estimate, Floats
from search.analysis.racing import REFERENCE, Cell, decisions

UNEXPLAINED = 0.05  # level at which another pair is trained
SMALL = 0.5  # of the largest effect


@dataclass(frozen=True, slots=True)
class PairEffect:
    """Two changes together.

    Attributes:
        config: of A with both. changes: which.
        both: A with both less A. interaction: the part of that beyond the sum of each alone.
    """

    config: int
    changes: tuple[int, int]
    both: Estimate | None
    interaction: Estimate | None


class Effects:
    """The effects in the scores of an ablation, (configs, seeds)."""

    def __init__(self, scores: Floats, combinations: Sequence[tuple[int, ...]]) -> None:
        self.scores = scores
        self.combinations = combinations
        self.blocks = Blocks(scores)

    @cached_property
    def whole(self) -> int:
        """The index of B."""
        everything = max(self.combinations, key=len)
        return self.combinations.index(everything)

    @property
    def total(self) -> Estimate | None:
        return self.blocks.difference(self.whole, REFERENCE)

    @cached_property
    def alone(self) -> list[Estimate | None]:
        """The effect of each change alone."""
        count = len(self.combinations[self.whole])
        return [self.blocks.difference(self.alone_config(change), REFERENCE) for change in range(count)]

    def alone_config(self, change: int) -> int:
        return self.combinations.index((change,))

    @cached_property
    def pairs(self) -> list[PairEffect]:
        """The pairs that were trained; with two changes, B is one."""
        trained = []
        for config, made in enumerate(self.combinations):
            if len(made) == 2 and np.isfinite(self.scores[config]).any():
                both = self.blocks.difference(config, REFERENCE)
                beyond = self._contrast(self._interaction(config))
                trained.append(PairEffect(config, (made[0], made[1]), both, beyond))
        return trained

    @cached_property
    def unexplained(self) -> Estimate | None:
        """What neither single changes nor trained pairs explain; None if nothing can be left."""
        weights = self._difference(self.whole)
        for change in range(len(self.combinations[self.whole])):
            weights = weights - self._difference(self.alone_config(change))
        for pair in self.pairs:
            if pair.config != self.whole:
                weights = weights - self._interaction(pair.config)
        return self._contrast(weights) if weights.any() else None

    def next_pair(self) -> int | None:
        """The config of the pair to train next; None if none is needed."""
        untrained = [
            config
            for config, made in enumerate(self.combinations)
            if len(made) == 2 and config != self.whole and not np.isfinite(self.scores[config]).any()
        ]
        if not untrained or self.unexplained is None or self.unexplained.p > UNEXPLAINED:
            return None
        sizes = [abs(effect.value) if effect else 0.0 for effect in self.alone]
        return max(untrained, key=lambda config: sum(sizes[change] for change in self.combinations[config]))

    def is_small(self, effect: Estimate) -> bool:
        """Whether the whole interval is small beside the largest effect."""
        largest = max((abs(each.value) for each in self.alone if each), default=0.0)
        return max(abs(effect.low), abs(effect.high)) < SMALL * largest

    def _difference(self, config: int) -> Floats:
        return np.array(self.blocks.weights({config: 1, REFERENCE: -1}), dtype=np.float64)

    def _interaction(self, config: int) -> Floats:
        one, other = self.combinations[config]
        return (
            self._difference(config)
            - self._difference(self.alone_config(one))
            - self._difference(self.alone_config(other))
        )

    def _contrast(self, weights: Floats) -> Estimate | None:
        return self.blocks.contrast(weights.tolist())


def next_round(
    scores: Floats, combinations: Sequence[tuple[int, ...]], opening: int, first: int, last: int
) -> list[Cell]:
    """What an ablation trains next; nothing if all is settled or the seeds are used up.

    Args:
        scores: (configs, seeds), all of them ended.
        opening: number of configs that get the first seeds: A, each change alone, B.
    """
    seeds = scores.shape[1]
    if seeds < first:
        return [(config, block) for block in range(seeds, first) for config in range(opening)]
    effects = Effects(scores, combinations)
    if (pair := effects.next_pair()) is not None:
        return [(pair, block) for block in range(seeds)]
    if seeds >= last:
        return []
    decided = decisions(scores[:opening], first, last)
    sizes: dict[int, float] = {}
    for config in range(1, opening):
        effect = effects.blocks.difference(config, REFERENCE)
        if decided[config] is None and not (
            effect and config != effects.whole and effects.is_small(effect)
        ):
            sizes[config] = abs(effect.value) if effect else 0.0
    for each in effects.pairs:
        beyond = each.interaction
        if each.config >= opening and beyond and beyond.p > UNEXPLAINED and not effects.is_small(beyond):
            sizes[each.config] = abs(beyond.value)
    if not sizes:
        return []
    needed = sorted(sizes.keys() - {effects.whole}, key=lambda config: -sizes[config])
    return [(config, seeds) for config in (REFERENCE, effects.whole, *needed)]
