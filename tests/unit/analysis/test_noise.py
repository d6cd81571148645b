"""The statistics of `search compare` against plain NumPy, and against runs whose truth is known."""

import math

import numpy as np
import pytest
from simulation.noise import autoregressive

from search.analysis import noise as evidence
from search.analysis.noise import (
    Evidence,
    compare,
    level,
    mean_error,
    moving_means,
    noise_of,
    seeds_needed,
    trend,
)


def run(seed: int, top: float = 0.66, epochs: int = 120, phi: float = 0.15) -> list[float]:
    rise = top - 0.6 * np.exp(-np.arange(1, epochs + 1) / 15)
    noise = autoregressive(np.random.default_rng(seed), phi, (1, epochs))[0]
    return [float(score) for score in rise + 0.017 * noise]


def holds(found: Evidence, truth: float) -> bool:
    return found.difference is not None and found.difference.low <= truth <= found.difference.high


def reference(y: np.ndarray, design: np.ndarray) -> list[tuple[float, np.ndarray, float, float]]:
    """Restricted maximum likelihood with the whole covariance matrix, and the prior; by phi."""
    n, p = design.shape
    lags = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    found = []
    for phi in evidence.AUTOCORRELATIONS:
        correlation = phi**lags
        inverse = np.linalg.inv(correlation)
        information = design.T @ inverse @ design
        beta = np.linalg.solve(information, design.T @ inverse @ y)
        residual = y - design @ beta
        variance = residual @ inverse @ residual / (n - p)
        likelihood = -0.5 * (
            (n - p) * np.log(variance)
            + np.linalg.slogdet(correlation)[1]
            + np.linalg.slogdet(information)[1]
        )
        found.append((likelihood + np.log(1 - phi**2), design @ beta, float(phi), float(variance)))
    return found


@pytest.mark.parametrize("phi", [-0.3, 0.0, 0.6])
def test_noise_is_estimated_by_restricted_maximum_likelihood(phi: float) -> None:
    y, design = np.array(run(3, epochs=80, phi=phi)[20:]), trend(21, 80)
    found, expected = noise_of(y, design), reference(y, design)
    _, fitted, best, variance = max(expected, key=lambda each: each[0])
    assert found.trend == pytest.approx(fitted, rel=1e-8)
    assert (found.autocorrelation, found.variance) == pytest.approx((best, variance), rel=1e-8)
    likelihoods = np.exp([each[0] - expected[0][0] for each in expected])
    assert found.likelihoods == pytest.approx(likelihoods / likelihoods.sum(), rel=1e-6)
    assert found.variances == pytest.approx([each[3] for each in expected], rel=1e-8)


def test_noise_is_found_again() -> None:
    found = [noise_of(np.array(run(seed, phi=0.4)[30:]), trend(31, 120)) for seed in range(40)]
    assert np.mean([noise.autocorrelation for noise in found]) == pytest.approx(0.4, abs=0.05)
    assert math.sqrt(np.mean([noise.variance for noise in found])) == pytest.approx(0.017, rel=0.05)


def test_drawn_noise_has_its_variance_and_autocorrelation() -> None:
    drawn = autoregressive(np.random.default_rng(0), 0.7, (4000, 50))
    assert drawn.shape == (4000, 50)
    assert drawn.var(axis=0) == pytest.approx(np.ones(50), abs=0.1)
    assert np.mean(drawn[:, 20:40] * drawn[:, 21:41]) == pytest.approx(0.7, abs=0.03)


def test_moving_means_are_those_of_numpy() -> None:
    y = np.random.default_rng(0).normal(size=(3, 20))
    expected = [np.convolve(row, np.full(4, 0.25), "valid") for row in y]
    assert moving_means(y, 4) == pytest.approx(np.array(expected))


def test_the_seeds_needed_are_those_of_the_textbooks() -> None:
    """17 a side for one standard deviation, 64 for half of one: the figures of every textbook."""
    assert (seeds_needed(1.0, 1.0), seeds_needed(-0.5, 1.0)) == (17, 64)
    assert (seeds_needed(9.0, 1.0), seeds_needed(0.0, 1.0), seeds_needed(1e-300, 1.0)) == (2, None, None)


def test_the_same_answer_each_time_and_the_other_way_round() -> None:
    a, b = run(1), run(2, top=0.7)
    found, mirrored = compare(a, b), compare(b, a)
    assert found == compare(a, b) and (found.verdict, mirrored.verdict) == ("b better", "a better")
    assert found.difference and mirrored.difference
    assert mirrored.difference.value == pytest.approx(-found.difference.value)
    worse = compare([-score for score in a], [-score for score in b], "minimize")
    assert worse.verdict == "b better" and worse.difference
    assert worse.difference.value == pytest.approx(-found.difference.value)


def test_what_cannot_be_known_is_not_said() -> None:
    assert compare(run(1)[:7], run(2)).verdict == "not distinguishable"
    assert compare([0.1], [0.9]).difference is None
    assert level(run(1)[:7], 1) is None
    same = compare(run(1), run(1))
    assert same.difference and same.difference.value == 0.0
    assert (same.verdict, same.seeds) == ("not distinguishable", None)


def test_curves_without_noise_are_told_apart_at_once() -> None:
    flat = compare([0.5] * 30, [0.6] * 30)
    assert flat.verdict == "b better" and flat.difference
    assert flat.difference.value == pytest.approx(0.1)
    assert compare([0.5] * 30, [0.5] * 30).verdict == "not distinguishable"


@pytest.mark.parametrize("count", [20, pytest.param(60, marks=pytest.mark.nightly)])
def test_equal_runs_are_seldom_called_different(count: int) -> None:
    """At most one in twenty; at length in benchmarks/compare_calibration.py."""
    pairs = [compare(run(2 * seed), run(2 * seed + 1, epochs=110)) for seed in range(count)]
    assert sum(pair.verdict != "not distinguishable" for pair in pairs) <= 0.05 * count
    assert sum(holds(pair, 0.0) for pair in pairs) >= 0.9 * count
    known = [compare(run(2 * seed), run(2 * seed + 1, top=0.69)) for seed in range(count)]
    assert sum(holds(pair, 0.03) for pair in known) >= 0.9 * count
    assert sum(pair.verdict == "b better" for pair in known) >= 0.9 * count


def test_ten_epochs_do_not_tell_strong_autocorrelation_from_a_trend() -> None:
    """Of equal runs too short to know their noise by, one in twenty is called different at most."""
    rng = np.random.default_rng(0)
    rise = 0.6 - 0.5 * np.exp(-np.arange(1, 11) / 4)
    found = []
    for _ in range(120):
        a, b = rise + 0.017 * autoregressive(rng, 0.5, (2, 10))
        found.append(compare(a.tolist(), b.tolist()))
    assert sum(pair.verdict != "not distinguishable" for pair in found) <= 6
    assert sum(holds(pair, 0.0) for pair in found) >= 108


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
def test_the_error_of_given_epochs_is_that_of_autocorrelated_noise(phi: float) -> None:
    """Against the variance of a mean of five AR(1) values, over 60 runs of 80 epochs."""
    lags = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    truth = 0.02 * np.sqrt(np.mean(phi**lags))
    noise = 0.02 * autoregressive(np.random.default_rng(0), phi, (60, 80))
    runs = 0.7 * (1 - np.exp(-np.arange(1, 81) / 8)) + noise
    found = [mean_error(run.tolist(), 5) for run in runs]
    assert np.median([each[0] for each in found if each]) == pytest.approx(truth, rel=0.2)
    assert mean_error([0.5] * 7, 2) is None, "too short"
