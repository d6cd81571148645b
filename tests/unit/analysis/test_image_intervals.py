"""Differences over seeds and images, against a plain analysis of variance and simulated trainings."""

import math

import numpy as np
import pytest
from scipy.stats import t

from search.analysis.image_intervals import ImageDifference, image_difference, image_margin
from search.analysis.interval import Interval
from search.analysis.noise import Floats


def difference(matrix: Floats, low: float, high: float) -> ImageDifference | None:
    """`matrix`: (seeds, images), how much more than the reference each seed scores on each image."""
    pairs = [
        (
            {str(image): 0.5 + gain for image, gain in enumerate(row)},
            dict.fromkeys(map(str, range(len(row))), 0.5),
        )
        for row in matrix
    ]
    return image_difference("b", Interval(float(matrix.mean()), low, high), pairs)


def test_the_margin_is_that_of_a_two_way_analysis_of_variance() -> None:
    matrix = np.random.default_rng(3).normal(size=(4, 7)) + 2 * np.random.default_rng(4).normal(size=7)
    rows, columns, grand = matrix.mean(1), matrix.mean(0), matrix.mean()
    of_image = sum(4 * (column - grand) ** 2 for column in columns) / 6
    noise = sum(
        (matrix[seed, image] - rows[seed] - columns[image] + grand) ** 2
        for seed in range(4)
        for image in range(7)
    ) / (3 * 6)
    assert image_margin(matrix) == pytest.approx(t.ppf(0.975, 6) * math.sqrt((of_image - noise) / 28))


def test_margins_are_added_by_their_squares_and_images_alike_add_nothing() -> None:
    of_image = np.array([0.01, -0.03, 0.05, 0.0])
    margin = t.ppf(0.975, 3) * of_image.std(ddof=1) / 2
    found = difference(np.stack([of_image, of_image + 0.02]), -0.01, 0.04)
    assert found is not None and (found.seeds, found.images) == (2, 4)
    value, both = found.over_seeds.value, found.over_both
    assert both.low == pytest.approx(value - math.hypot(value + 0.01, margin))
    assert both.high == pytest.approx(value + math.hypot(0.04 - value, margin))
    alike = difference(np.array([[0.01, 0.01], [0.02, 0.02]]), 0.0, 0.03)
    assert alike is not None and (alike.over_both.low, alike.over_both.high) == pytest.approx((0.0, 0.03))


def test_one_seed_cannot_tell_noise_from_images_so_all_of_it_counts() -> None:
    row = np.random.default_rng(0).normal(0.02, 0.1, size=50)
    assert image_margin(row[None]) == pytest.approx(t.ppf(0.975, 49) * row.std(ddof=1) / math.sqrt(50))


def test_only_trainings_that_scored_the_same_images_count() -> None:
    ours, theirs = {"1": 0.5, "2": 0.6}, {"1": 0.4, "2": 0.7}
    over_seeds = Interval(0.0, -1.0, 1.0)
    found = image_difference("b", over_seeds, [(ours, theirs), ({}, theirs), (ours, {"1": 0.4})])
    assert found is not None and (found.seeds, found.images) == (1, 2)
    assert image_difference("b", over_seeds, [(ours, {"3": 0.1, "2": 0.1})]) is None
    assert image_difference("b", over_seeds, [({"1": 0.5}, {"1": 0.4})]) is None
    assert image_difference("b", over_seeds, []) is None


def test_the_interval_holds_for_new_images_where_that_over_seeds_does_not() -> None:
    """Six seeds, 60 images that like config b differently; benchmarks/image_calibration.py has more."""
    rng, seeds_only, both = np.random.default_rng(1), 0, 0
    for _ in range(200):
        matrix = (
            rng.exponential(0.05, size=60) - 0.05
            + 0.004 * rng.normal(size=(6, 1))
            + 0.02 * rng.normal(size=(6, 60))
        )  # fmt: skip
        of_seeds = matrix.mean(1)
        half = t.ppf(0.975, 5) * of_seeds.std(ddof=1) / math.sqrt(6)
        found = difference(matrix, of_seeds.mean() - half, of_seeds.mean() + half)
        seeds_only += abs(of_seeds.mean()) <= half
        both += found is not None and found.over_both.low <= 0 <= found.over_both.high
    assert seeds_only < 150 and both >= 180
