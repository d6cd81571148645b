"""The winner's curse: how far the best of many trials is above what its config gives on average.

The best of n values is partly lucky. By how much depends on their number, on the noise of one value, and on
how far apart the configs truly are: among equals the best is all luck, far ahead of the others it is none.

1. The true levels behind the values are estimated by deconvolution: the distribution on a grid under which
   the values are most likely (Kiefer & Wolfowitz 1956), by 100 steps of EM from a flat one (Laird 1978).
   It assumes no shape: values of a search crowd below the best there is, with a long tail of bad ones.
2. The search is simulated again (a parametric bootstrap): every trial gets a level, drawn from the
   posterior of that distribution given its own value, and a value around it, and the best is taken. The
   mean of its `value - level` is the prediction.

Before anything is retrained, the noise is known only as far as the curves show it: `error` of
`search.analysis.noise`, how much the best mean of a curve varies with the noise of its epochs. If another
seed changes more than that, the prediction is too small, which fresh seeds will show.
"""

import math
from collections.abc import Sequence

import numpy as np

from search.analysis.noise import level
from search.analysis.paired_seeds import Floats
from search.records import Record, candidates
from search.scoring import Direction, sign_of
from search.study.plan import Prediction

FEWEST = 8  # trials needed for a prediction
GRID = 100  # levels
STEPS = 100  # of EM
DRAWS = 2000  # simulated searches


def expected_curse(values: Sequence[float], noise: float) -> float:
    """By how much the highest of `values` is expected to exceed its level.

    Args:
        values: of all trials, higher is better. noise: standard deviation of one value, above 0.
    """
    levels, posterior = deconvolved(np.asarray(values, dtype=np.float64), noise)
    rng = np.random.default_rng(0)  # the same search has the same prediction
    drawn = np.stack([rng.choice(levels, p=of_trial, size=DRAWS) for of_trial in posterior], axis=1)
    seen = drawn + noise * rng.standard_normal(drawn.shape)
    best = seen.argmax(axis=1)[:, None]
    return float(np.mean(np.take_along_axis(seen - drawn, best, axis=1)))


def deconvolved(values: Floats, noise: float) -> tuple[Floats, Floats]:
    """Levels behind noisy values, (GRID,), and the posterior of each value over them, (values, GRID)."""
    levels = np.linspace(values.min(), values.max(), GRID)
    distance = ((values[:, None] - levels) / noise) ** 2
    likelihood = np.exp(-0.5 * (distance - distance.min(axis=1, keepdims=True)))  # up to a factor each
    posterior = np.full_like(likelihood, 1 / GRID)
    for _ in range(STEPS):
        posterior = likelihood * posterior.mean(axis=0)
        posterior /= posterior.sum(axis=1, keepdims=True)
    return levels, posterior


def values_of(records: Sequence[Record]) -> list[float]:
    """The values among which the best was picked."""
    return [record.value for record in records if record.is_candidate and record.value is not None]


def predict(records: Sequence[Record], smooth: int, direction: Direction) -> Prediction | None:
    """The curse of a search's best; None if its trials are too few, or too short to know the noise.

    Args:
        smooth: how many consecutive scores a trial's value is the best mean of.
    """
    complete = candidates(records, direction)
    if len(complete) < FEWEST:
        return None
    better = complete[: len(complete) // 2]  # those that competed to be the best
    curves = [[score for score in record.curve if score is not None] for record in better]
    levels = [level(curve, smooth, direction) for curve in curves if len(curve) >= smooth]
    errors = [each.error for each in levels if each is not None]
    noise = math.sqrt(math.fsum(error**2 for error in errors) / len(errors)) if errors else 0.0
    if noise <= 0:
        return None
    values = [sign_of(direction) * (record.value or 0.0) for record in complete]
    return Prediction(curse=expected_curse(values, noise), noise=noise, trials=len(values))
