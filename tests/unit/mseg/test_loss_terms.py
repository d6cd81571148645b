"""The terms of the loss against plain NumPy, with ignored pixels and absent classes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from search.mseg.data.labels import IGNORED
from search.mseg.losses.class_weights import frequencies, median_frequency, sqrt_median_frequency
from search.mseg.losses.terms import TERMS, LabelledPixels

Array = NDArray[np.float64]

FREQUENCIES = torch.linspace(0.5, 0.01, 20, dtype=torch.float64) ** 2


def softmax(logits: Array) -> Array:
    p = np.exp(logits - logits.max(0))
    return p / p.sum(0)


def cross_entropy(
    p: Array,
    target: Array,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    class_weights: str = "none",
) -> float:
    classes = len(p)
    w = np.ones(classes)
    if class_weights != "none":
        w = np.median(FREQUENCIES[:classes]) / FREQUENCIES[:classes].numpy()
    if class_weights == "sqrt_median_frequency":
        w = np.sqrt(w)
    cost, of = 0.0, 0.0
    for row, column in np.argwhere(target != IGNORED):
        y, q = int(target[row, column]), p[:, row, column]
        smoothed = label_smoothing / classes * np.sum(w * -np.log(q))
        cost += (1 - q[y]) ** focal_gamma * ((1 - label_smoothing) * w[y] * -np.log(q[y]) + smoothed)
        of += w[y]
    return cost / of if of else 0.0


def dice(p: Array, target: Array) -> float:
    valid, scores = target != IGNORED, []
    for c in range(len(p)):
        overlap = p[c][target == c].sum()
        scores.append((2 * overlap + 1e-8) / (p[c][valid].sum() + np.sum(target == c) + 1e-8))
    return 1 - float(np.mean(scores))


def lovasz(p: Array, target: Array) -> float:
    """By the definition: the Jaccard loss of the first i pixels, minus that of one fewer."""
    valid, losses = target != IGNORED, []
    for c in np.unique(target[valid]):
        truth, q = target[valid] == c, p[int(c)][valid]
        errors = np.abs(truth - q)
        order = np.argsort(-errors)
        before, total = 0.0, 0.0
        for i in range(len(order)):
            wrong = np.zeros(len(order), bool)
            wrong[order[: i + 1]] = True
            predicted = truth ^ wrong
            jaccard = 1 - np.sum(truth & predicted) / np.sum(truth | predicted)
            total += errors[order[i]] * (jaccard - before)
            before = jaccard
        losses.append(total)
    return float(np.mean(losses)) if losses else 0.0


def around(at: Array, reach: int) -> Array:
    """The maximum over each pixel's window."""
    rows, columns = at.shape
    return np.array(
        [
            [
                at[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].max()
                for x in range(columns)
            ]
            for y in range(rows)
        ]
    )


def boundary(p: Array, target: Array, boundary_tolerance: int = 2) -> float:
    touches_ignored = around((target == IGNORED).astype(float), 1) > 0
    losses = []
    for c in range(len(p)):
        lines = []
        for inside in ((target == c).astype(float), p[c]):
            lines.append(np.where(touches_ignored, 0, around(1 - inside, 1) - (1 - inside)))
        truth, predicted = lines
        if truth.sum() == 0:
            continue
        precision = np.sum(predicted * around(truth, boundary_tolerance)) / (predicted.sum() + 1e-7)
        recall = np.sum(truth * around(predicted, boundary_tolerance)) / (truth.sum() + 1e-7)
        losses.append(1 - 2 * precision * recall / (precision + recall + 1e-7))
    return float(np.mean(losses)) if losses else 0.0


REFERENCES: dict[str, Callable[..., float]] = {
    "ce": cross_entropy,
    "dice": dice,
    "lovasz": lovasz,
    "boundary": boundary,
}

WITH_OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in REFERENCES),
    ("ce", {"label_smoothing": 0.2}),
    ("ce", {"focal_gamma": 2.0}),
    ("ce", {"class_weights": "median_frequency"}),
    ("ce", {"class_weights": "sqrt_median_frequency"}),
    ("ce", {"label_smoothing": 0.1, "focal_gamma": 0.5, "class_weights": "sqrt_median_frequency"}),
    ("boundary", {"boundary_tolerance": 1}),
]


def case(seed: int) -> tuple[Tensor, Tensor]:
    """float64 logits and uint8 targets of random shape; some classes absent, often some pixels ignored."""
    rng = np.random.default_rng(seed)
    batch, classes, height, width = (int(n) for n in rng.integers([1, 1, 1, 1], [4, 7, 8, 8]))
    logits = torch.from_numpy(rng.normal(0, rng.uniform(0.1, 4), (batch, classes, height, width)))
    target = rng.integers(0, rng.integers(1, classes + 1), (batch, height, width))
    target[rng.random(target.shape) < rng.choice([0.0, 0.3, 0.9])] = IGNORED
    if seed % 5 == 0:
        target[0] = IGNORED
    return logits, torch.from_numpy(target).to(torch.uint8)


def of_images(name: str, logits: Tensor, target: Tensor, **options: Any) -> Tensor:
    """The term's loss of each image."""
    return TERMS[name](LabelledPixels(logits, target, lambda: FREQUENCIES[: logits.shape[1]]), **options)


def expected(name: str, logits: Tensor, target: Tensor, **options: Any) -> list[float]:
    images = zip(logits.double().numpy(), target.numpy(), strict=True)
    return [REFERENCES[name](softmax(image), truth, **options) for image, truth in images]


def test_every_term_has_a_reference() -> None:
    assert REFERENCES.keys() == TERMS.keys()


@pytest.mark.parametrize("cases", [25, pytest.param(500, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_random_cases_agree_with_numpy(name: str, options: dict[str, Any], cases: int) -> None:
    for seed in range(cases):
        logits, target = case(seed)
        found = of_images(name, logits, target, **options)
        assert found.tolist() == pytest.approx(
            expected(name, logits, target, **options), rel=1e-9, abs=1e-12
        )
        single = of_images(name, logits.float(), target, **options)
        assert single.dtype == torch.float32
        assert single.tolist() == pytest.approx(found.tolist(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_the_gradient_is_that_of_finite_differences(name: str, options: dict[str, Any]) -> None:
    for seed in (1, 2, 5):
        logits, target = case(seed)
        logits.requires_grad_()
        assert torch.autograd.gradcheck(
            lambda of, target=target: of_images(name, of, target, **options),
            logits,
            eps=1e-7,
            atol=1e-5,
            fast_mode=True,
        )


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_ignored_pixels_change_neither_a_value_nor_a_gradient(name: str, options: dict[str, Any]) -> None:
    logits, target = torch.randn(2, 5, 12, 12, dtype=torch.float64), torch.randint(5, (2, 12, 12))
    target[:, 3:7, 2:9] = IGNORED
    target[1, 0] = IGNORED
    logits.requires_grad_()
    value = of_images(name, logits, target, **options)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    ignored = (target == IGNORED)[:, None].expand_as(logits)
    assert (gradient[ignored] == 0).all() and (gradient[~ignored] != 0).any()
    changed = torch.where(ignored, torch.randn_like(logits), logits)
    assert torch.equal(of_images(name, changed, target, **options), value)


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_an_image_without_a_valid_pixel_costs_nothing(name: str, options: dict[str, Any]) -> None:
    logits = torch.randn(2, 4, 6, 6, requires_grad=True)
    target = torch.full((2, 6, 6), IGNORED, dtype=torch.uint8)
    value = of_images(name, logits, target, **options)
    value.sum().backward()
    assert value.tolist() == pytest.approx([0, 0], abs=1e-7)
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad.abs().max() < 1e-6


def alone_and_together(logits: Tensor, target: Tensor, **options: Any) -> Iterator[tuple[Tensor, Tensor]]:
    for name in TERMS:
        together = of_images(name, logits, target)
        parts = [of_images(name, *each) for each in zip(logits.split(1), target.split(1), strict=True)]
        yield together, torch.cat(parts)


def test_an_image_costs_the_same_alone_and_in_a_batch() -> None:
    for seed in range(10):
        for together, alone in alone_and_together(*case(seed)):
            torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_a_sure_and_right_prediction_costs_next_to_nothing(name: str, options: dict[str, Any]) -> None:
    target = torch.zeros(2, 8, 8, dtype=torch.int64)
    target[0, :, 4:], target[1, 2:5] = 1, 2
    logits = 40.0 * F.one_hot(target, 4).permute(0, 3, 1, 2).double()
    right = of_images(name, logits, target, **options)
    wrong = of_images(name, -logits, target, **options)
    if not options.get("label_smoothing"):
        assert right.max() < 1e-6
    assert (wrong > right + 0.4).all()


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_bfloat16_logits_are_scored_in_float32(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    half, target = torch.randn(2, 7, 16, 16).bfloat16().requires_grad_(), torch.randint(7, (2, 16, 16))
    full = half.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = of_images(name, half, target, **options)
        value.sum().backward()
    same = of_images(name, full, target, **options)
    same.sum().backward()
    assert value.dtype == torch.float32 and half.grad is not None and half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(value, same)
    torch.testing.assert_close(half.grad.float(), full.grad, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_nothing_is_fetched_from_the_device(name: str, options: dict[str, Any]) -> None:
    """A meta tensor has no values: whatever would fetch one raises."""
    logits = torch.empty(2, 19, 8, 8, device="meta", requires_grad=True)
    pixels = LabelledPixels(
        logits, torch.empty(2, 8, 8, dtype=torch.uint8, device="meta"), lambda: torch.ones(19).to("meta")
    )
    TERMS[name](pixels, **options).sum().backward()
    assert logits.grad is not None


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"class_weights": "median_frequency"}])
def test_cross_entropy_of_an_image_is_that_of_pytorch(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    logits, target = torch.randn(1, 6, 9, 9), torch.randint(6, (1, 9, 9))
    target[0, 4] = IGNORED
    weighted = options.get("class_weights") is not None
    theirs = F.cross_entropy(
        logits,
        target,
        weight=median_frequency(FREQUENCIES[:6]).float() if weighted else None,
        ignore_index=IGNORED,
        label_smoothing=options.get("label_smoothing", 0.0),
    )
    assert of_images("ce", logits, target, **options).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_a_frequency_is_the_share_of_the_pixels_of_the_images_that_have_the_class() -> None:
    masks = torch.zeros(3, 4, 4, dtype=torch.uint8)
    masks[0, 0] = 1  # 4 of 16
    masks[1, :2] = 2
    masks[1, 3] = IGNORED  # 8 of 12
    assert frequencies(masks, 4).tolist() == pytest.approx(
        [(12 + 4 + 16) / (16 + 12 + 16), 4 / 16, 8 / 12, np.nan], nan_ok=True
    )


def test_rare_classes_weigh_more_and_absent_ones_one() -> None:
    shares = torch.tensor([0.5, 0.1, np.nan, 0.02, 0.3], dtype=torch.float64)
    weights = median_frequency(shares)
    assert weights.tolist() == pytest.approx([0.2 / 0.5, 2, 1, 10, 0.2 / 0.3])  # between 0.1 and 0.3
    assert sqrt_median_frequency(shares).tolist() == pytest.approx(weights.sqrt().tolist())
