"""The posterior of a contender against direct integration of the stated model."""

import numpy as np
import pytest
from scipy import stats

from search.analysis.chances import FREEDOM, WIDTHS, chances

SCORES = np.array(
    [
        [0.660, 0.668, 0.657, 0.663, 0.665],
        [0.666, 0.671, 0.667, 0.668, 0.670],
        [0.661, 0.667, 0.656, np.nan, np.nan],
    ]
)


def integrated(scores: np.ndarray, overlap: float, margin: float) -> np.ndarray:
    """P(gain > 0), P(gain >= margin), P(|gain| < margin): (contenders, 3), by weighting draws of the prior.

    Contrasts of the scores have no level, and given the ratios of all variances they are normal up to a
    scale, so each draw leaves a Student's t for the gains.
    """
    rng = np.random.default_rng(1)
    has = np.isfinite(scores)
    config, seed = np.nonzero(has)
    shared = np.eye(scores.shape[1])[seed]
    contrasts = np.linalg.svd(shared)[0][:, shared.shape[1] :].T
    values = contrasts @ scores[has]
    ratios = FREEDOM / rng.chisquare(FREEDOM, (3000, len(scores)))
    weights = WIDTHS * stats.cauchy.pdf(WIDTHS)
    wide = rng.choice(WIDTHS, 3000, p=weights / weights.sum())[:, None, None] ** 2
    same_config = np.eye(len(scores))[config]
    noise = ratios[:, config, None] * (np.eye(len(config)) + overlap * same_config @ same_config.T)
    gains = contrasts @ same_config[:, 1:]
    whole = contrasts @ noise @ contrasts.T + wide * (gains @ gains.T)
    inverse = np.linalg.inv(whole)
    squares, freedom = values @ inverse @ values, len(values)
    log = -np.linalg.slogdet(whole)[1] / 2 - freedom / 2 * np.log(squares)
    weight = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
    shrunk = wide * (gains.T @ inverse)
    left = wide[:, 0] * (1 - np.einsum("nci,ic->nc", shrunk, gains))
    spread = np.sqrt(squares[:, None] / freedom * left)
    zero, up, down = (
        weight @ stats.t.sf((at - shrunk @ values) / spread, freedom) for at in (0, margin, -margin)
    )
    return np.transpose([zero, up, down - up])


@pytest.mark.parametrize("overlap", [0.0, 0.25])
def test_the_probabilities_are_those_of_the_stated_prior(overlap: float) -> None:
    expected = integrated(SCORES, overlap, 0.004)
    found = [(each.better, each.matters, each.same) for each in chances(SCORES, 1, 0.004, overlap) if each]
    assert np.array(found, float) == pytest.approx(expected, abs=0.02)
    turned = chances(-SCORES, -1, 0.004, overlap)[0]
    assert turned is not None and (turned.better, turned.matters, turned.same) == pytest.approx(found[0])


def test_probabilities_of_differences_without_noise_and_of_too_few_seeds() -> None:
    y = np.array([[0.50, 0.51, 0.49], [0.51, 0.52, 0.50], [np.nan, np.nan, 0.52]])
    certain, alone = chances(y, 1, 0.005)
    assert alone is None and certain is not None
    assert (certain.better, certain.matters, certain.same) == pytest.approx((1.0, 1.0, 0.0))
    equal, _ = chances(np.full((3, 3), 0.5), 1, None)
    assert equal is not None and (equal.better, equal.matters, equal.same) == (0.5, None, None)
    assert chances(y[:, :1], 1, None) == [None, None]


@pytest.mark.nightly
@pytest.mark.parametrize("alike", [0.0, 0.8])
def test_what_is_said_is_true_as_often_as_said(alike: float) -> None:
    """Gains as wide as the noise of one training, by bins of 20 percentage points."""
    rng = np.random.default_rng(9)
    said, true = [], []
    for _ in range(400):
        gain = rng.standard_normal(3)
        y = rng.standard_normal((4, 5)) + rng.standard_normal(5)
        y[1:] += (np.sqrt(1 - alike) - 1) * y[1:] + np.sqrt(alike) * rng.standard_normal(5) + gain[:, None]
        said += [each.better for each in chances(y, 1, None) if each]
        true += list(gain > 0)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (np.array(said) >= low) & (np.array(said) <= low + 0.2)
        error = 3 * np.sqrt(0.25 / inside.sum())
        assert abs(np.array(said)[inside].mean() - np.array(true)[inside].mean()) < error + 0.03
