"""The winner's curse: how far the best of many trials is above what its config gives on average.

The best of n values is partly lucky. By how much depends on their number, on the noise of one value, and on
how far apart the configs truly are: among equals the best is all luck, far ahead of the others it is none.

1. The true levels behind the values are estimated by deconvolution: the distribution on a grid under which
   the values are most likely (Kiefer & Wolfowitz 1956), by 100 steps of EM from a flat one (Laird 1978).
   It assumes no shape: values of a search crowd below the best there is, with a long tail of bad ones.
2. The search is simulated again (a parametric bootstrap): every trial gets a level, drawn from the
   posterior of that distribution given its own value, and a value around it, and the best is taken. The
   mean of its `value - level` is the prediction.

Before anything is retrained, the noise is known within limits only. It is at least what the curves show:
`error` of `search.analysis.noise`, how much the best mean of a curve varies with the noise of its epochs.
And it is at most how far the better half of all values lies above the median (the root mean square), since
configs differ, too. The search is simulated with five values between them, evenly spaced in their
logarithm: the prediction is their mean, and the interval reaches from the lowest end to the highest, so
that it holds for each of them.

All trials of a search share its seed. What that seed gives to every config alike cannot be seen in a choice
between them: selection sees only the rest. The value of the best has both. So the prediction is of
selection alone, while its interval allows for the shared offset, too. A search with one seed cannot tell
how large that is; it is taken to vary as much as the noise, which half of the values have told (Student's
t). Where K seeds take turns, its standard
deviation is smaller by the factor 1 / sqrt(K), and the rest of it is noise that selection sees.
`benchmarks/luck_calibration.py` measures how often the interval holds.
"""

import math
from collections.abc import Sequence

import numpy as np

from search.analysis.interval import LEVEL
from search.analysis.noise import level
from search.analysis.paired_seeds import Floats
from search.records import Record, candidates
from search.scoring import Direction, sign_of
from search.study.plan import Prediction

FEWEST = 8  # trials needed for a prediction
GRID = 100  # levels
STEPS = 100  # of EM
DRAWS = 2000  # simulated searches
NOISES = 5  # values of the noise


def expected_curse(values: Sequence[float], noise: float) -> float:
    """By how much the highest of `values` is expected to exceed its level.

    Args:
        values: of all trials, higher is better. noise: standard deviation of one value, above 0.
    """
    return float(np.mean(simulated_curses(np.asarray(values, dtype=np.float64), noise, DRAWS)))


def simulated_curses(values: Floats, noise: float, draws: int) -> Floats:
    """By how much the highest value exceeded its level in simulated searches, (draws,)."""
    levels, posterior = deconvolved(values, noise)
    rng = np.random.default_rng(0)  # the same search has the same prediction
    drawn = np.stack([rng.choice(levels, p=of_trial, size=draws) for of_trial in posterior], axis=1)
    seen = drawn + noise * rng.standard_normal(drawn.shape)
    best = seen.argmax(axis=1)[:, None]
    curses: Floats = np.take_along_axis(seen - drawn, best, axis=1)[:, 0]
    return curses


def spread_of_better_half(values: Floats) -> float:
    """The root mean square distance of the values at or above the median from it; higher is better.

    For equal configs it is the noise itself; where configs differ, it is larger.
    """
    median = np.median(values)
    return math.sqrt(np.mean((values[values >= median] - median) ** 2))


def prediction(values: Sequence[float], noise: float, seeds: int = 1) -> Prediction:
    """The curse of the highest value, with an interval that allows for the seeds' shared offset.

    Args:
        values: of all trials, higher is better. noise: the least that one value varies by, above 0.
        seeds: how many the search took turns with.
    """
    array = np.asarray(values, dtype=np.float64)
    most = max(noise, spread_of_better_half(array))
    noises = np.geomspace(noise, most, NOISES)
    curses = [simulated_curses(array, float(each), DRAWS // NOISES) for each in noises]
    offsets = np.random.default_rng(1).standard_t(max(2, len(array) // 2 - 1), (NOISES, DRAWS // NOISES))
    offsets *= noises[:, None] / math.sqrt(seeds)
    ends = np.quantile(np.stack(curses) + offsets, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return Prediction(
        curse=float(np.mean(curses)),
        noise=noise,
        trials=len(values),
        low=float(ends[0].min()),
        high=float(ends[1].max()),
        most_noise=most,
        seeds=seeds,
    )


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
    levels = [level(each.scores, smooth, direction) for each in better if len(each.scores) >= smooth]
    errors = [each.error for each in levels if each is not None]
    noise = math.sqrt(math.fsum(error**2 for error in errors) / len(errors)) if errors else 0.0
    if noise <= 1e-9:  # one epoch is like the next: there is no luck to predict
        return None
    values = [sign_of(direction) * (record.value or 0.0) for record in complete]
    seeds = {record.seed for record in complete if record.seed is not None}
    return prediction(values, noise, max(1, len(seeds)))
