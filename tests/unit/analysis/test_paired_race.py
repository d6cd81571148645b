"""The race of `search confirm` against SciPy, and against contenders whose truth is known."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from search.analysis import needed_seeds
from search.analysis.called_gain import gain_given_call
from search.analysis.looks import Looks
from search.analysis.needed_seeds import noise_of, seed_plan
from search.analysis.paired_race import PairedScores, contender_pairs, decisions, looks_of
from search.analysis.racing import next_round


def t_tests(differences: np.ndarray, common: bool) -> tuple[np.ndarray, np.ndarray]:
    """t and p of the means of (races, contenders, seeds), moderated if they have a variance in common."""
    if not common:
        return stats.ttest_1samp(differences, 0, axis=-1)
    seeds, own = differences.shape[-1], differences.var(axis=-1, ddof=1)
    moved = (2 * stats.gmean(own, axis=1, keepdims=True) + (seeds - 1) * own) / (seeds + 1)
    t = differences.mean(axis=-1) / np.sqrt(np.maximum(own, moved) / seeds)
    return t, 2 * stats.t.sf(np.abs(t), seeds + 1)


def called(differences: np.ndarray, looks: Looks) -> np.ndarray:
    """Side of each contender at the first look that calls it, of (races, contenders, seeds); 0 if none."""
    found = np.zeros(differences.shape[:2])
    for seen in range(looks.first, looks.last + 1):
        t, p = t_tests(differences[..., :seen], looks.contenders > 1)
        now = (found == 0) & (p <= looks.levels[seen - looks.first])
        found[now] = np.sign(t[now])
    return found


RULES = pytest.mark.parametrize("moderated", [True, False], ids=["moderated", "paired"])


@RULES
@pytest.mark.parametrize(
    ("alike", "spread"), [(0.0, 1.0), (0.5, 1.0), (0.8, 1.0), (0.0, 4.0)], ids=["0", "0.5", "0.8", "noisy"]
)
def test_equal_contenders_are_called_in_at_most_five_percent_of_races(
    alike: float, spread: float, moderated: bool
) -> None:
    """However alike they are, and where one varies four times as much."""
    rng = np.random.default_rng(11)
    y = rng.standard_normal((3000, 4, 6))
    y[:, 1:] = np.sqrt(alike) * rng.standard_normal((3000, 1, 6)) + np.sqrt(1 - alike) * y[:, 1:]
    y[:, 3] *= spread
    looks = looks_of(3, 3, 6, None, moderated=moderated)
    share = (called(y[:, 1:] - y[:, :1], looks) != 0).any(axis=1).mean()
    assert 0.01 < share < 0.05


@RULES
def test_a_decision_is_the_one_of_t_tests(moderated: bool) -> None:
    rng = np.random.default_rng(2)
    looks = looks_of(2, 3, 6, None, moderated=moderated)
    seen = set()
    for gain in (0.0, 0.02, -0.02, 0.03):
        y = 0.66 + 0.005 * rng.standard_normal((3, 6)) + np.array([[0.0], [gain], [0.03]])
        sides = called((y[1:] - y[0])[None], looks)[0]
        for made, side in zip(decisions(y, looks)[1:], sides, strict=True):
            assert made is not None and made.side in {1: ["higher"], -1: ["lower"], 0: ["futile"]}[side]
            seen.add(made.side)
    assert seen == {"higher", "lower", "futile"}


def test_the_estimates_are_those_of_each_configs_own_scores() -> None:
    y = np.array([[0.50, 0.52, 0.51, 0.53], [0.60, 0.70, 0.50, np.nan], [0.53, 0.55, 0.53, 0.56]])
    scores = PairedScores(y)
    ours, theirs = scores.difference(1, 0), stats.ttest_rel(y[1, :3], y[0, :3])
    low, high = theirs.confidence_interval(0.96)
    assert ours is not None
    assert (ours.p, ours.low, ours.high) == pytest.approx((theirs.pvalue, low, high))
    mean = scores.mean(2)
    assert mean is not None
    assert mean.high - mean.value == pytest.approx(stats.t.ppf(0.975, 3) * stats.sem(y[2]))
    assert scores.noise == pytest.approx(np.sqrt((3 * y[0].var(ddof=1) + 0.02 + 3 * y[2].var(ddof=1)) / 8))
    assert PairedScores(y[:, 3:]).difference(1, 0) is None and PairedScores(y[:, 3:]).mean(1) is None


def test_a_small_variance_is_moved_towards_that_of_all_contenders_and_a_large_one_stays() -> None:
    y = np.array([[0.50, 0.52, 0.51, 0.53], [0.60, 0.70, 0.50, np.nan], [0.53, 0.55, 0.53, 0.56]])
    scores = PairedScores(y, moderated=True)
    wide, narrow = (y[1] - y[0])[:3], y[2] - y[0]
    common = np.exp((2 * np.log(wide.var(ddof=1)) + 3 * np.log(narrow.var(ddof=1))) / 5)
    assert scores.common_variance() == pytest.approx(common)
    moved = (2 * common + 3 * narrow.var(ddof=1)) / 5
    for config, variance, seeds in ((1, wide.var(ddof=1), 3), (2, moved, 4)):
        found = scores.difference(config, 0)
        assert found is not None
        half = stats.t.ppf(0.98, seeds + 1) * np.sqrt(variance / seeds)
        assert (found.value - found.low, found.high - found.value) == pytest.approx((half, half))
    assert scores.difference(2, 1) == PairedScores(y).difference(2, 1), "contenders with each other"
    assert PairedScores(y[:2], moderated=True).difference(1, 0) == PairedScores(y[:2]).difference(1, 0)
    assert looks_of(1, 3, 6, None) == looks_of(1, 3, 6, None, moderated=False), "a single contender"
    gain, older = np.array([2.0, 3.0]) / np.sqrt(2), looks_of(3, 3, 6, None, moderated=False)
    more = looks_of(3, 3, 6, None).power(gain) - older.power(gain)
    assert more[0] > 0.08 and more[1] > 0.02


def test_closer_than_the_margin_is_the_same_and_a_hopeless_race_ends() -> None:
    rng = np.random.default_rng(3)
    noise = 0.001 * rng.standard_normal((2, 8))
    made = decisions(noise, looks_of(1, 3, 8, 0.02))[1]
    assert made is not None and made.side == "same" and made.seeds < 8
    wide = decisions(noise, looks_of(1, 3, 8, None))[1]
    assert wide is not None and wide.side == "futile", "without a margin nothing is the same"
    looks = looks_of(1, 3, 6, 1.0)
    differences = rng.standard_normal((4000, 6)) + 1.0
    for seen in range(3, 7):
        part = differences[:, :seen]
        same = looks.outcomes(part.mean(axis=1), stats.sem(part, axis=1), seen - 1, seen) == 2
        differences = differences[~same]
    assert 1 - len(differences) / 4000 <= 0.06, "a contender just at the margin"


def test_where_every_seed_draws_a_split_their_correlation_is_allowed_for() -> None:
    """Splits of 80 and 20 examples: differences of equal configs that are correlated by 0.2."""
    rng = np.random.default_rng(8)
    y = np.sqrt(0.8) * rng.standard_normal((4000, 1, 6)) + np.sqrt(0.2) * rng.standard_normal((4000, 1, 1))
    looks, plain = looks_of(1, 3, 6, None, overlap=20 / 80), looks_of(1, 3, 6, None)
    found = np.zeros(len(y))
    for seen in range(3, 7):
        part = y[:, 0, :seen]
        error = part.std(axis=1, ddof=1) * np.sqrt(1 / seen + 20 / 80)
        p = 2 * stats.t.sf(np.abs(part.mean(axis=1)) / error, seen - 1)
        found += p <= looks.levels[seen - 3]
    assert 0.025 < (found > 0).mean() < 0.05 < (called(y, plain) != 0).mean()
    scores = np.vstack([np.zeros(6), y[0, 0]])
    held = PairedScores(scores, looks.overlap).difference(1, 0)
    assert held is not None
    half = stats.t.ppf(0.98, 5) * y[0, 0].std(ddof=1) * np.sqrt(1 / 6 + 20 / 80)
    assert (held.low, held.high) == pytest.approx((held.value - half, held.value + half))
    gains = np.array([0.0, 1.0, 3.0])
    assert (looks.power(gains) <= plain.power(gains) + 0.01).all()
    sure, unsure = (gain_given_call(y[0, 0] + 4, each) for each in (plain, looks))
    assert unsure.high - unsure.low > 1.3 * (sure.high - sure.low)


def test_seeds_are_spent_on_what_is_open() -> None:
    rng = np.random.default_rng(0)
    y = 0.66 + 0.001 * rng.standard_normal((4, 3))
    y[1] += 0.2
    y[2] += [0.003, 0.011, 0.007]
    y[3] -= 0.2
    looks = looks_of(3, 3, 6, 0.001)
    decide = partial(decisions, looks=looks)
    assert next_round(y, 3, 6, decide) == [(0, 3), (2, 3)]
    assert next_round(y[[0, 1, 3]], 3, 6, decide) == []


def test_contenders_are_compared_once_one_of_them_is_called() -> None:
    rng = np.random.default_rng(4)
    y = 0.66 + 0.001 * rng.standard_normal((4, 6)) + np.array([[0.0], [0.1], [0.05], [0.0]])
    looks = looks_of(3, 3, 6, 0.004)
    found = {pair.configs: pair for pair in contender_pairs(y, looks, decisions(y, looks))}
    assert {pair: each.side for pair, each in found.items()} == dict.fromkeys(
        [(1, 2), (1, 3), (2, 3)], "higher"
    )
    assert found[1, 2].difference.value == pytest.approx((y[1] - y[2]).mean())
    (uncalled,) = contender_pairs(y[:3], looks, [None] * 3)
    assert uncalled.side is None, "its share of the error rate has not been freed"


def test_the_interval_of_a_small_gain_that_is_called_holds_it() -> None:
    """A gain of 0.6 of the noise, which its plain interval holds less often."""
    looks, gain = looks_of(1, 5, 5, None), 0.6
    rng = np.random.default_rng(5)
    differences = rng.standard_normal((300, 1, 5)) + gain
    held, plain, values = [], [], []
    for made, each in zip(called(differences, looks)[:, 0], differences[:, 0], strict=True):
        if made > 0:
            found = gain_given_call(each, looks)
            held.append(found.low <= gain <= found.high)
            values.append((each.mean(), found.value))
            plain.append(stats.ttest_1samp(each, 0).confidence_interval(0.96).low <= gain)
    assert len(held) > 40 and np.mean(held) >= 0.9 > np.mean(plain)
    measured, allowed = np.mean(values, axis=0)
    assert gain < allowed < measured, "an overestimate, less so when the call is allowed for"


def test_seeds_needed_for_a_stated_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    shared = rng.standard_normal((1, 400))
    y = 0.66 + 0.003 * shared + 0.005 * rng.standard_normal((3, 400))
    noise = noise_of([y])
    assert noise is not None and noise.freedom == 2 * 399
    assert noise.low < 0.005 * np.sqrt(2) < noise.high
    single = noise_of([np.array([[0.5, 0.6, np.nan, 0.7]])])
    assert single is not None and single.value == pytest.approx(np.sqrt(2) * 0.1)
    assert noise_of([np.array([[0.5, np.nan]])]) is None and noise_of([]) is None
    plan = seed_plan(0.014, 1, 3, noise, 6, ["toy"])
    assert plan.seeds is not None and plan.trainings == 2 * plan.seeds
    looks = looks_of(1, 3, plan.seeds, None)
    found = called(rng.standard_normal((3000, 1, plan.seeds)) + 0.014 / noise.value, looks) > 0
    assert 0.78 < found.mean() < 0.95
    monkeypatch.setattr(needed_seeds, "MOST", 5)
    assert seed_plan(0.0001, 1, 3, noise, 3, []).seeds is None
