"""What the best of a search can be expected to gain over the baseline with other seeds.

The best of N values is a lucky one, and the baseline's is one run with one seed. So

1. a value is taken to vary over seeds as much as the better half of all values does: s is the root mean
   square of their distances from the median, which for equal configs is the noise itself. Configs differ,
   too, so it is rather too large. How much a curve varies from epoch to epoch would be too small;
2. the levels behind the values are estimated by deconvolution with that noise
   (`search.analysis.winners_curse`). The best's posterior has a mean m below its value (it is shrunken) and
   a variance v;
3. the gain is m - b, where b is the baseline's value, with the error sqrt(v + s^2). The interval is
   Student's with N / 2 - 1 degrees of freedom, since s comes from half of the values.

`benchmarks/gain_calibration.py` checks it on simulated searches.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from search.analysis.interval import student_margin
from search.analysis.winners_curse import FEWEST, deconvolved, spread_of_better_half, values_of
from search.records import Record
from search.scoring import Direction, sign_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedGain:
    """The best less the baseline, in the direction of better.

    Attributes:
        value: with other seeds. low, high: its 95 % interval.
        noise: how much a value is taken to vary over seeds. trials: of which the best was picked.
    """

    value: float
    low: float
    high: float
    noise: float
    trials: int

    @property
    def verdict(self) -> Literal["better", "worse", "not told apart"]:
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not told apart"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def expected_gain(
    records: Sequence[Record], baseline: float | None, direction: Direction
) -> ExpectedGain | None:
    """The gain of the best of `records` over a value; None where too few are complete, or there is none."""
    sign = sign_of(direction)
    values = sign * np.array(values_of(records))
    if baseline is None or len(values) < FEWEST:
        return None
    noise = spread_of_better_half(values)
    if noise == 0:
        return None
    levels, posterior = deconvolved(values, noise)
    of_best = posterior[values.argmax()]
    mean = of_best @ levels
    error = math.sqrt(of_best @ (levels - mean) ** 2 + noise**2)
    half = student_margin(error, len(values) / 2 - 1)
    gain = float(mean - sign * baseline)
    return ExpectedGain(value=gain, low=gain - half, high=gain + half, noise=noise, trials=len(values))
