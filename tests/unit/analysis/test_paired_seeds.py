"""The statistics of retraining against plain NumPy, and against races whose truth is known."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from search.analysis.paired_seeds import Blocks, balanced_t, nominal_level
from search.analysis.racing import decisions, next_round


def scores(seed: int, configs: int, seeds: int, noise: float = 0.005, shared: float = 0.003) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.66 + shared * rng.normal(size=(1, seeds)) + noise * rng.normal(size=(configs, seeds))


def test_two_configs_are_a_paired_t_test() -> None:
    a, b = scores(0, 2, 5)
    ours = Blocks(np.array([a, b])).difference(1, 0)
    theirs = stats.ttest_rel(b, a)
    interval = theirs.confidence_interval(0.96)
    assert ours is not None
    assert (ours.value, ours.p) == pytest.approx((np.mean(b - a), theirs.pvalue))
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))
    assert ours.above == pytest.approx(stats.ttest_rel(b, a, alternative="greater").pvalue * -1 + 1)


def test_missing_cells_against_least_squares() -> None:
    y = scores(1, 4, 5)
    y[2, 3:] = y[3, 1] = np.nan
    config, seed = np.nonzero(np.isfinite(y))
    design = np.zeros((len(config), 8))  # configs, and seeds but the first: full rank
    design[np.arange(len(config)), config] = 1
    late = seed > 0
    design[np.nonzero(late)[0], 3 + seed[late]] = 1
    beta, residual, rank, _ = np.linalg.lstsq(design, y[config, seed], rcond=None)
    freedom = len(config) - rank
    c = np.array([-1, 0, 1, 0, 0, 0, 0, 0])
    error = np.sqrt(residual[0] / freedom * (c @ np.linalg.inv(design.T @ design) @ c))
    ours = Blocks(y).difference(2, 0)
    assert ours is not None and freedom == 9
    assert ours.value == pytest.approx(beta[2] - beta[0])
    assert ours.high - ours.value == pytest.approx(stats.t.ppf(0.98, freedom) * error)


def test_the_mean_of_a_config() -> None:
    """The spread within all configs; scores of one seed are alike, and count for less."""
    y = scores(3, 4, 5, noise=0.002, shared=0.008)
    blocks = Blocks(y)
    ours = blocks.mean(2)
    within = y.var(axis=1, ddof=1).mean()
    rest = y - y.mean(axis=1, keepdims=True) - y.mean(axis=0) + y.mean()
    alike = 1 - (rest**2).sum() / (3 * 4) / within
    freedom = 4 * 4 / (1 + 3 * alike**2)
    assert 0.5 < alike < 1 and 4 < freedom < 10
    assert ours is not None and ours.value == pytest.approx(y[2].mean())
    assert ours.high - ours.value == pytest.approx(stats.t.ppf(0.975, freedom) * np.sqrt(within / 5))
    assert blocks.noise == pytest.approx(np.sqrt(within))


def test_simulated_t_is_the_one_of_least_squares() -> None:
    y = np.array([scores(seed, 4, 3) for seed in range(5)])
    t, freedom = balanced_t(y)
    for draw, each in zip(t, y, strict=True):
        found = [Blocks(each).difference(config, 0) for config in (1, 2, 3)]
        assert [each and each.p for each in found] == pytest.approx(
            list(2 * stats.t.sf(abs(draw), freedom))
        )


def test_what_the_cells_do_not_tell_is_none() -> None:
    nothing, half = np.nan, [[0.5, np.nan], [np.nan, 0.6]]
    assert Blocks(np.array([[nothing], [nothing]])).difference(1, 0) is None
    assert Blocks(np.array([[0.5], [0.6]])).difference(1, 0) is None, "one seed does not say how it varies"
    assert Blocks(np.array(half)).difference(1, 0) is None, "no seed in common"
    assert Blocks(np.array(half)).mean(0) is None
    assert Blocks(np.array([[0.5, 0.6], [nothing, nothing]])).mean(1) is None


def test_differences_without_any_noise_have_no_interval() -> None:
    same = Blocks(np.array([[0.5] * 3, [0.6] * 3, [0.5] * 3]))
    higher, equal = same.difference(1, 0), same.difference(2, 0)
    assert higher is not None and equal is not None
    assert (higher.p, higher.above, higher.low) == (0.0, 1.0, pytest.approx(0.1))
    assert (equal.p, equal.above) == (1.0, 0.5)


def test_one_look_at_one_contender_has_the_whole_level() -> None:
    assert nominal_level(1, 5, 5) == pytest.approx(0.05, abs=0.005)
    assert nominal_level(3, 3, 6) < nominal_level(1, 3, 6) < nominal_level(1, 3, 4) < 0.05
    assert nominal_level(3, 3, 6) > 0.05 / (3 * 4), "better than Bonferroni over contenders and looks"


def test_seeds_go_where_the_decision_is_open() -> None:
    """By the rule that ablations have, and races of older versions."""
    y = scores(0, 4, 3)
    decide = partial(decisions, first=3, last=6)
    assert next_round(y[:, :0], 3, 6, decide) == [
        (config, block) for block in range(3) for config in range(4)
    ]
    y[1] += 0.1
    y[3] = y[0] + [0.004, 0.001, -0.002]
    assert next_round(y, 3, 6, decide) in ([(0, 3), (3, 3), (2, 3)], [(0, 3), (2, 3), (3, 3)])
    assert next_round(y, 3, 3, decide) == []
    y[2:] -= 0.1
    assert next_round(y, 3, 6, decide) == []
