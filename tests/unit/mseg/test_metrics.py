"""The F-scores against NumPy, and their independence of the evaluation's batch size."""

import numpy as np
import pytest
import torch
from torch import Tensor

from search.mseg.data.labels import IGNORED
from search.mseg.metrics import Scores, counts


def class_fscores(prediction: np.ndarray, target: np.ndarray) -> dict[int, float]:
    """F by class present in `target`, over all its pixels."""
    scores = {}
    for c in np.unique(target):
        tp = np.sum((prediction == c) & (target == c))
        fp = np.sum((prediction == c) & (target != c))
        fn = np.sum((prediction != c) & (target == c))
        precision, recall = tp / (tp + fp + 1e-7), tp / (tp + fn + 1e-7)
        scores[int(c)] = 2 * precision * recall / (precision + recall + 1e-7)
    return scores


def mean_fscore(prediction: np.ndarray, target: np.ndarray) -> float:
    return float(np.mean(list(class_fscores(prediction, target).values())))


def masks(seed: int, images: int, classes: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks with some classes missing in each, and predictions about half right."""
    rng = np.random.default_rng(seed)
    shape = (images, side, side + 1)
    target = rng.integers(0, rng.integers(1, classes + 1, (images, 1, 1)), shape)
    prediction = np.where(rng.random(shape) < 0.5, target, rng.integers(0, classes, shape))
    return prediction, target


def scored(prediction: np.ndarray, target: np.ndarray, classes: int, batch: int) -> Scores:
    scores = Scores(classes)
    for first in range(0, len(target), batch):
        scores.add(
            torch.from_numpy(prediction[first : first + batch]),
            torch.from_numpy(target[first : first + batch]).to(torch.uint8),
        )
    return scores


@pytest.mark.parametrize("cases", [150, pytest.param(1000, marks=pytest.mark.nightly)])
def test_random_cases_agree_with_numpy(cases: int) -> None:
    rng = np.random.default_rng(0)
    for seed in range(cases):
        images, classes, side = (int(n) for n in rng.integers([1, 1, 1], [5, 12, 7]))
        prediction, target = masks(seed, images, classes, side)
        result = scored(prediction, target, classes, batch=int(rng.integers(1, 5))).result()

        per_image = [class_fscores(p, t) for p, t in zip(prediction, target, strict=True)]
        fscore = np.mean([np.mean(list(scores.values())) for scores in per_image])
        assert result["val_fscore"] == pytest.approx(fscore, abs=1e-6)
        assert result["fscore_batch32"] == pytest.approx(mean_fscore(prediction, target), abs=1e-6)
        assert result["accuracy"] == pytest.approx(np.mean(prediction == target), abs=1e-6)
        for c, score in enumerate(result["per_class"]):
            having = [scores[c] for scores in per_image if c in scores]
            assert (score is None) if not having else score == pytest.approx(np.mean(having), abs=1e-6)


@pytest.mark.parametrize("cases", [100, pytest.param(1000, marks=pytest.mark.nightly)])
def test_scores_pooled_over_all_images_agree_with_numpy_with_and_without_ignored_pixels(cases: int) -> None:
    rng = np.random.default_rng(1)
    for seed in range(cases):
        images, classes, side = (int(n) for n in rng.integers([1, 1, 1], [5, 12, 7]))
        prediction, target = masks(seed, images, classes, side)
        target[rng.random(target.shape) < rng.choice([0.0, 0.4])] = IGNORED
        if seed % 3 == 0:
            target[0] = IGNORED
        valid = target != IGNORED
        if not valid.any():
            continue
        result = scored(prediction, target, classes, batch=int(rng.integers(1, 5))).result()
        p, t = prediction[valid], target[valid]
        ious = [np.sum((p == c) & (t == c)) / np.sum((p == c) | (t == c)) for c in np.union1d(p, t)]
        assert result["val_miou"] == pytest.approx(np.mean(ious), abs=1e-12)
        assert result["fscore_pooled"] == pytest.approx(mean_fscore(p, t), abs=1e-9)
        assert result["accuracy"] == pytest.approx(np.mean(p == t), abs=1e-12)
        pixels = [(a[v], b[v]) for a, b, v in zip(prediction, target, valid, strict=True) if v.any()]
        assert result["val_fscore"] == pytest.approx(
            np.mean([mean_fscore(*each) for each in pixels]), abs=1e-9
        )


def test_the_batch_size_changes_nothing_not_even_the_last_bit() -> None:
    prediction, target = masks(1, images=100, classes=19, side=12)
    results = [scored(prediction, target, 19, batch).result() for batch in (1, 7, 32, 100)]
    assert all(result == results[0] for result in results)


def test_the_historical_protocol_pools_32_32_32_and_4_images() -> None:
    prediction, target = masks(2, images=100, classes=19, side=6)
    prediction[96:] = target[96:]  # the last four are perfect and carry a quarter of the score
    pools = [slice(first, first + 32) for first in (0, 32, 64, 96)]
    expected = [mean_fscore(prediction[pool], target[pool]) for pool in pools]
    result = scored(prediction, target, 19, batch=7).result()
    assert result["fscore_batch32"] == pytest.approx(np.mean(expected), abs=1e-9)
    assert expected[3] == pytest.approx(1, abs=1e-6)
    assert result["fscore_batch32"] > result["val_fscore"] + 0.01


def test_counts_are_those_made_by_hand() -> None:
    target = torch.tensor([[[0, 0, 1], [1, 1, 2]], [[2, 2, 2], [2, 2, 2]]], dtype=torch.uint8)
    prediction = torch.tensor([[[0, 1, 1], [1, 0, 0]], [[2, 2, 2], [2, 2, 0]]])
    assert counts(prediction, target, 3).tolist() == [
        [[1, 2, 1], [2, 1, 1], [0, 0, 1]],
        [[0, 1, 0], [0, 0, 0], [5, 0, 1]],
    ]


def test_classes_predicted_but_absent_cost_precision_and_have_no_score() -> None:
    target = torch.zeros(1, 2, 2, dtype=torch.uint8)
    prediction = torch.tensor([[[0, 0], [0, 1]]])
    scores = Scores(3)
    scores.add(prediction, target)
    result = scores.result()
    assert result["per_class"] == [pytest.approx(2 * 0.75 / 1.75, abs=1e-6), None, None]
    assert result["val_fscore"] == result["per_class"][0]
    assert result["accuracy"] == 0.75


@pytest.mark.parametrize("classes", [1, 2, 255])
def test_a_perfect_prediction_scores_one_and_a_wrong_one_zero(classes: int) -> None:
    target = (torch.arange(2 * 16 * 16) % classes).view(2, 16, 16).to(torch.uint8)
    perfect = Scores(classes)
    perfect.add(target, target)
    assert perfect.result()["val_fscore"] == pytest.approx(1, abs=1e-6)
    if classes > 1:
        hopeless = Scores(classes)
        hopeless.add((target.long() + 1) % classes, target)
        assert hopeless.result() == {
            "val_fscore": 0.0,
            "val_miou": 0.0,
            "fscore_pooled": 0.0,
            "fscore_batch32": 0.0,
            "per_class": [0.0] * classes,
            "accuracy": 0.0,
        }


def test_a_class_out_of_range_is_refused_not_counted_for_another_image() -> None:
    inside, outside = torch.zeros(2, 2, 2, dtype=torch.long), torch.full((2, 2, 2), 3)
    with pytest.raises(RuntimeError, match="out of bounds"):
        counts(inside, outside, 3)


def test_no_image_no_score() -> None:
    with pytest.raises(ValueError, match="no image was added"):
        Scores(19).result()


def test_nothing_is_fetched_from_the_device_before_the_result() -> None:
    """A meta tensor has no values: whatever would fetch one raises."""
    mask: Tensor = torch.empty(2, 8, 8, dtype=torch.uint8, device="meta")
    scores = Scores(19)
    scores.add(mask, mask)
    with pytest.raises(NotImplementedError):
        scores.result()
