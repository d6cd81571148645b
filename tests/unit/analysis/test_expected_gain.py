"""What the best of a search is expected to gain over the baseline, against simulated searches."""

import numpy as np
import pytest
from importance_calibration import complete

from search.analysis.expected_gain import ExpectedGain, expected_gain


def gain_of(values: list[float], baseline: float, direction: str = "maximize") -> ExpectedGain | None:
    records = [complete(number, {}, value) for number, value in enumerate(values)]
    return expected_gain(records, baseline, direction)  # type: ignore[arg-type]


def test_the_best_of_equal_configs_is_rarely_called_better() -> None:
    """60 equal configs, a seed changes a value by 0.004; benchmarks/gain_calibration.py has more."""
    values = 0.66 + 0.004 * np.random.default_rng(0).standard_normal((200, 60))
    found = [gain_of(row.tolist(), row[0]) for row in values]
    assert sum(each is not None and each.verdict == "better" for each in found) <= 19
    raw = np.mean(values.max(axis=1) - values[:, 0])
    shrunken = np.mean([each.value for each in found if each])
    assert raw > 0.008 and shrunken < 0.003, "most of the luck is taken off"


def test_a_baseline_that_is_plainly_behind_is_told_apart_in_either_direction() -> None:
    values = (0.66 + 0.004 * np.random.default_rng(1).standard_normal(60)).tolist()
    found = gain_of(values, 0.64)
    assert found is not None and found.verdict == "better" and found.trials == 60
    assert found.noise == pytest.approx(0.004, rel=0.3)
    turned = gain_of([-value for value in values], -0.64, "minimize")
    assert turned is not None and turned.to_json() == pytest.approx(found.to_json())


def test_too_few_trials_or_equal_ones_tell_nothing() -> None:
    assert gain_of([0.6] * 7, 0.5) is None
    assert gain_of([0.6] * 20, 0.5) is None


def test_a_search_that_stopped_at_its_target_is_not_called_better_more_often() -> None:
    """Equal configs; each search ends at the first value that one in 100 reaches, if it has 8 by then."""
    found, raw = [], []
    for seed in range(200):
        values = 0.66 + 0.004 * np.random.default_rng(seed).standard_normal(60)
        end = int((values >= 0.66 + 2.33 * 0.004).argmax()) + 1
        if end >= 8:
            found.append(gain_of(values[:end].tolist(), values[0]))
            raw.append(values[end - 1] - 0.66)
    assert len(found) > 50 and np.mean(raw) > 2.33 * 0.004
    assert sum(each is not None and each.verdict == "better" for each in found) <= 0.05 * len(found) + 3
    assert np.mean([each.value for each in found if each]) < 0.004, "most of the luck is taken off"
