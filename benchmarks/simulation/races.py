"""Scores of configs trained again on the same seeds, with a known truth. Knows nothing of `search`.

A score is the config's level, plus what its seed does to all configs, plus noise of its own. The noise of
the contenders may be alike (`correlation`: configs that a sampler drew around one optimum react to a seed
alike, the baseline does not), may differ in size by config, and may have heavy tails.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL, NOISE, SHARED = 0.66, 0.005, 0.003


@dataclass(frozen=True)
class RaceFamily:
    """Races whose configs have a known level.

    Attributes:
        gains: of each contender over the baseline.
        correlation: of the noise of any two contenders.
        spread: by config, the baseline first, in units of NOISE; empty: 1 for all.
        tails: degrees of freedom of Student's t that the noise has; None: it is normal.
        proportional: whether the noise of a config grows with its level; at the baseline's it is `spread`.
    """

    name: str
    gains: Sequence[float]
    correlation: float = 0.0
    spread: Sequence[float] = ()
    last: int = 6
    tails: int | None = None
    proportional: bool = False

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """(configs, seeds); the baseline first."""
        return self.draw_races(rng, 1)[0]

    def draw_races(self, rng: np.random.Generator, races: int) -> NDArray[np.float64]:
        """(races, configs, seeds); the baseline first."""
        configs = len(self.gains) + 1
        own = self._noise(rng, (races, configs, self.last))
        alike = self._noise(rng, (races, 1, self.last))
        own[:, 1:] = np.sqrt(self.correlation) * alike + np.sqrt(1 - self.correlation) * own[:, 1:]
        spread = NOISE * np.array(self.spread or [1.0] * configs)
        level = LEVEL + np.array([0.0, *self.gains])
        if self.proportional:
            spread *= level / LEVEL
        shared = SHARED * rng.standard_normal((races, 1, self.last))
        return np.asarray(level[:, None] + shared + spread[:, None] * own)

    def _noise(self, rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        """With a standard deviation of 1."""
        if self.tails is None:
            return rng.standard_normal(shape)
        return rng.standard_t(self.tails, shape) / np.sqrt(self.tails / (self.tails - 2))
