"""What a later stage says about the choice of the one before, held against SciPy and against counting."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from search.analysis.promotion import PromotedConfig, promotion


def config(number: int, before: float | None, after: float | None, group: str = "kept") -> PromotedConfig:
    return PromotedConfig(
        name=f"trial {number}",
        number=number,
        group=group,  # type: ignore[arg-type]
        before=before,
        after=after,
    )


def test_the_rank_correlation_is_scipys() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(size=12)
    after = before + rng.normal(size=12)
    found = promotion([config(i, *pair) for i, pair in enumerate(zip(before, after))], 0, "maximize")  # noqa: B905
    assert found.correlation is not None
    assert found.correlation.value == pytest.approx(stats.spearmanr(before, after).statistic)
    assert found.correlation.configs == 12


@pytest.mark.parametrize(("rho", "configs"), [(0.0, 12), (0.5, 12), (0.8, 20), (0.95, 30)])
def test_the_interval_of_the_rank_correlation_covers_it(rho: float, configs: int) -> None:
    """Bivariate normal values: Spearman's correlation is 6 / pi asin(rho / 2)."""
    rng = np.random.default_rng(1)
    truth = 6 / np.pi * np.arcsin(rho / 2)
    draws, covered = 1000, 0
    for _ in range(draws):
        pairs = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=configs)
        found = promotion([config(i, a, b) for i, (a, b) in enumerate(pairs)], 0, "maximize").correlation
        assert found is not None
        covered += found.low <= truth <= found.high
    assert covered / draws == pytest.approx(0.95, abs=0.025)


def test_a_perfect_order_has_an_interval_below_one() -> None:
    found = promotion([config(i, i, i) for i in range(6)], 0, "maximize").correlation
    assert found is not None and found.value == pytest.approx(1) and 0 < found.low < found.high < 1


def test_too_few_configs_have_no_correlation() -> None:
    assert promotion([config(i, i, i) for i in range(4)], 0, "maximize").correlation is None


@pytest.mark.parametrize("sign", [1, -1])
def test_controls_are_held_against_everything_that_was_kept(sign: int) -> None:
    configs = [
        config(0, sign * 0.5, sign * 0.60, "known"),
        config(1, sign * 0.9, sign * 0.70),
        config(2, sign * 0.8, sign * 0.75),
        config(3, sign * 0.4, sign * 0.77, "control"),
        config(4, None, sign * 0.50, "control"),  # pruned in the first stage
        config(5, sign * 0.3, None, "control"),  # diverged in the second
    ]
    found = promotion(configs, 20, "maximize" if sign > 0 else "minimize")
    assert found.better is not None and (found.better.count, found.better.trials) == (1, 2)
    assert found.lead == pytest.approx(0.02)
    assert found.best is not None and found.best.number == 3
    assert found.first_choice is not None and found.first_choice.number == 1
    assert found.left == 20


def test_the_share_of_better_controls_covers_the_share_of_what_was_left() -> None:
    """Controls drawn from 40 configs of which 12 are better: 95 % intervals, counted exactly."""
    left, better, drawn = 40, 12, 10
    covered = 0.0
    for count in range(drawn + 1):
        after = [1.0] * count + [0.0] * (drawn - count)
        configs = [config(9, 0.9, 0.5), *(config(i, 0.1, a, "control") for i, a in enumerate(after))]
        rate = promotion(configs, left, "maximize").better
        assert rate is not None
        if rate.low <= better / left <= rate.high:
            covered += stats.hypergeom.pmf(count, left, better, drawn)
    assert covered >= NormalDist().cdf(1.6)
