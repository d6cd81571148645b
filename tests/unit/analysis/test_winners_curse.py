"""The predicted winner's curse against searches whose truth is known."""

import numpy as np
import pytest

from search.analysis.winners_curse import FEWEST, deconvolved, expected_curse, predict, prediction
from search.records import Record

NOISE = 0.005


def test_of_equals_the_best_is_all_luck() -> None:
    """The expected maximum of 60 normal draws is 2.32 standard deviations."""
    found = [
        expected_curse(0.66 + NOISE * np.random.default_rng(seed).normal(size=60), NOISE)
        for seed in range(20)
    ]
    assert np.mean(found) == pytest.approx(2.32 * NOISE, abs=0.002)


def test_far_ahead_it_is_none() -> None:
    values = 0.6 + NOISE * np.random.default_rng(0).normal(size=60)
    assert expected_curse([*values, 0.9], NOISE) == pytest.approx(0.0, abs=0.002)


def test_a_search_that_stopped_at_its_target_was_luckier_than_predicted() -> None:
    """Equal configs, and a target that one value in 100 reaches. The report says so of such a search."""
    luck, predicted = [], []
    for seed in range(120):
        values = NOISE * np.random.default_rng(seed).normal(size=60)
        end = int((values >= 2.33 * NOISE).argmax()) + 1
        if end >= FEWEST:  # else it is never reached, or with too few trials for a prediction
            luck.append(values[end - 1])
            predicted.append(expected_curse(values[:end], NOISE))
    assert len(luck) > 30 and np.mean(predicted) < 0.9 * np.mean(luck)


@pytest.mark.parametrize("trials", [15, 60])
def test_configs_that_crowd_below_the_best_there_is(trials: int) -> None:
    errors = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        levels = 0.69 - 0.04 * (rng.uniform(-1, 1, (trials, 2)) ** 2).sum(axis=1)
        values = levels + NOISE * rng.normal(size=trials)
        best = values.argmax()
        errors.append(expected_curse(values, NOISE) - (values[best] - levels[best]))
    assert np.mean(errors) == pytest.approx(0.0, abs=0.002)


def test_deconvolution_finds_two_kinds_of_config() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(300) < 0.3, 0.60, 0.66) + NOISE * rng.normal(size=300)
    levels, posterior = deconvolved(values, NOISE)
    assert posterior.sum(axis=1) == pytest.approx(np.ones(300)) and (posterior >= 0).all()
    weights = posterior.mean(axis=0)
    assert weights[levels < 0.63].sum() == pytest.approx(0.3, abs=0.06)
    assert weights[abs(levels - 0.66) < 0.004].sum() == pytest.approx(0.7, abs=0.08)


def record(number: int, curve: list[float], state: str = "complete") -> Record:
    return Record(
        number=number,
        state=state,
        value=max(curve),
        last=curve[-1],
        best_score=max(curve),
        best_epoch=1,
        params={},
        known=None,
        seed=1,
        epochs=len(curve),
        curve=curve,
        reason=None,
        worker=None,
        attempts=1,
        seconds=1.0,
    )


def test_the_interval_holds_although_all_trials_share_a_seed() -> None:
    """Half of the noise is in the curves; benchmarks/luck_calibration.py has more."""
    held = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        levels = 0.66 + NOISE * rng.normal(size=20)
        values = levels + NOISE * rng.normal() + NOISE * rng.normal(size=20)
        found = prediction(values.tolist(), NOISE / 2)
        assert found.low is not None and found.high is not None and found.low < found.curse < found.high
        held.append(found.low <= values.max() - levels[values.argmax()] <= found.high)
    assert sum(held) >= 26


def test_the_seeds_that_trials_take_turns_with_narrow_what_they_share() -> None:
    values = (0.66 + NOISE * np.random.default_rng(0).normal(size=20)).tolist()
    one, four = prediction(values, NOISE), prediction(values, NOISE, seeds=4)
    assert one.curse == four.curse and (one.seeds, four.seeds) == (1, 4)
    assert one.low is not None and four.low is not None and one.low < four.low


def test_a_search_that_tells_too_little_has_no_prediction() -> None:
    rng = np.random.default_rng(0)
    curves = [(0.6 + 0.01 * rng.normal(size=30)).tolist() for _ in range(8)]
    full = [record(number, curve) for number, curve in enumerate(curves)]
    found = predict(full, 1, "maximize")
    assert found is not None and found.trials == 8 and 0.001 < found.noise < 0.02 and found.curse > 0
    assert predict(full[:7], 1, "maximize") is None
    assert predict([record(n, curve[:5]) for n, curve in enumerate(curves)], 1, "maximize") is None
    without_chance = predict([record(n, [0.5 + n / 10] * 30) for n in range(9)], 1, "maximize")
    assert without_chance is None or without_chance.curse == pytest.approx(0.0, abs=1e-9)
