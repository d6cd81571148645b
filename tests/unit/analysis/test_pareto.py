"""The Pareto front of score against parameters, against every pair of trials compared."""

from dataclasses import replace

import numpy as np
import pytest
from snapshots import RECORD

from search.analysis.pareto import pareto_front
from search.scoring import Direction


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_no_other_trial_dominates(direction: Direction, seed: int) -> None:
    """Sizes and values from few numbers, so that many are equal."""
    dice = np.random.default_rng(seed)
    sizes = dice.integers(1, 8, 25)
    values = dice.integers(0, 10, 25) / 10
    gains = values if direction == "maximize" else -values
    order = np.arange(25)
    no_larger, no_worse = sizes[:, None] <= sizes, gains[:, None] >= gains
    differs = (sizes[:, None] < sizes) | (gains[:, None] > gains) | (order[:, None] < order)
    dominated = (no_larger & no_worse & differs).any(axis=0)
    records = [
        replace(RECORD, number=number, parameters=int(sizes[number]), value=float(values[number]))
        for number in range(25)
    ]
    unknown = [replace(RECORD, number=25), replace(RECORD, number=26, parameters=1, value=None)]
    front = pareto_front([*records, *unknown], direction)
    assert sorted(record.number for record in front) == np.flatnonzero(~dominated).tolist()
    assert [record.parameters for record in front] == sorted(sizes[~dominated].tolist())
