"""The fused loss against NumPy, its gradient against autograd of the plain formula, and its edge cases."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from search.mseg.losses.fused import ce_dice


def reference(logits: np.ndarray, target: np.ndarray, weights: tuple[float, float]) -> float:
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    onehot = (target[:, None] == np.arange(logits.shape[1])[:, None, None]).astype(float)
    cross_entropy = -np.log((p * onehot).sum(1)).mean()
    overlap, size = (p * onehot).sum((2, 3)), p.sum((2, 3)) + onehot.sum((2, 3))
    return weights[0] * cross_entropy + weights[1] * (1 - ((2 * overlap + 1e-8) / (size + 1e-8)).mean())


def plain(logits: Tensor, target: Tensor, weights: tuple[float, float] = (1.0, 1.5)) -> Tensor:
    """The formula as it stands, for autograd."""
    p = logits.softmax(1)
    onehot = F.one_hot(target.long(), logits.shape[1]).permute(0, 3, 1, 2).to(p.dtype)
    overlap, size = (p * onehot).sum((2, 3)), p.sum((2, 3)) + onehot.sum((2, 3))
    dice = 1 - ((2 * overlap + 1e-8) / (size + 1e-8)).mean()
    return weights[0] * F.cross_entropy(logits, target.long()) + weights[1] * dice


def case(seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """Random shapes, scales and weights; most cases lack some class."""
    rng = np.random.default_rng(seed)
    batch, classes, height, width = (int(n) for n in rng.integers([1, 1, 1, 1], [5, 20, 9, 9]))
    logits = torch.from_numpy(rng.normal(0, rng.uniform(0.1, 8), (batch, classes, height, width)))
    target = torch.from_numpy(rng.integers(0, rng.integers(1, classes + 1), (batch, height, width)))
    return logits.to(dtype), target, (float(rng.uniform(0, 2)), float(rng.uniform(0, 3)))


@pytest.mark.parametrize("cases", [100, pytest.param(1000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_random_cases_agree_with_numpy(dtype: torch.dtype, cases: int) -> None:
    for seed in range(cases):
        logits, target, weights = case(seed, dtype)
        expected = reference(logits.double().numpy(), target.numpy(), weights)
        assert ce_dice(logits, target, *weights).item() == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("cases", [40, pytest.param(300, marks=pytest.mark.nightly)])
def test_the_gradient_is_that_of_the_plain_formula(cases: int) -> None:
    for seed in range(cases):
        logits, target, weights = case(seed)
        logits.requires_grad_()
        (ours,) = torch.autograd.grad(3 * ce_dice(logits, target, *weights), logits)
        (theirs,) = torch.autograd.grad(3 * plain(logits, target, weights), logits)
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_gradient_is_the_derivative() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, 5, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 3, (2, 3, 5))
    assert torch.autograd.gradcheck(lambda x: ce_dice(x, target, 1, 1.5), logits)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("integer", [torch.uint8, torch.int64])
def test_layouts_strides_and_integer_types_are_one(
    layout: torch.memory_format, integer: torch.dtype
) -> None:
    torch.manual_seed(1)
    logits, target = torch.randn(2, 7, 12, 10), torch.randint(0, 7, (2, 12, 10))
    logits = logits.to(memory_format=layout).requires_grad_()
    thinned = logits[..., ::2, ::2], target.to(integer)[..., ::2, ::2]
    loss = ce_dice(*thinned, 1, 1.5)
    expected = plain(*thinned)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits), torch.autograd.grad(expected, logits), rtol=1e-5, atol=1e-8
    )


def test_a_large_mask_keeps_its_digits() -> None:
    """A million equal pixels in float32: their plain running sum is off by parts in a thousand."""
    logits = torch.zeros(1, 2, 1024, 1024)
    logits[:, 0] = 2.2
    target = torch.zeros(1, 1024, 1024, dtype=torch.uint8)
    assert ce_dice(logits, target, 1, 1.5).item() == pytest.approx(
        ce_dice(logits.double(), target, 1, 1.5).item(), rel=1e-5
    )


def test_float32_under_bf16_autocast() -> None:
    torch.manual_seed(2)
    target = torch.randint(0, 19, (2, 16, 16))
    half = torch.randn(2, 19, 16, 16).bfloat16().requires_grad_()
    full = half.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = ce_dice(half, target, 1, 1.5)
        loss.backward()
        mixed = ce_dice(full, target, 1, 1.5)
        mixed.backward()
    expected = full.detach().clone().requires_grad_()
    plain(expected, target).backward()
    assert loss.dtype == torch.float32
    assert half.grad is not None and half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(loss, plain(full, target))
    torch.testing.assert_close(full.grad, expected.grad, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(half.grad.float(), expected.grad, rtol=1e-2, atol=1e-6)


def test_logits_that_softmax_to_zero_stay_finite() -> None:
    logits = torch.tensor([1e4, -1e4, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4).clone().requires_grad_()
    target = torch.ones(1, 4, 4, dtype=torch.uint8)
    loss = ce_dice(logits, target, 1, 1.5)
    loss.backward()
    assert loss.item() == pytest.approx(2e4 + 1.5 * (1 - 1 / 3), rel=1e-6)  # absent class 2: 0 of 0 pixels
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_diverged_logits_give_nan() -> None:
    logits = torch.full((1, 3, 4, 4), torch.nan)
    assert ce_dice(logits, torch.zeros(1, 4, 4, dtype=torch.uint8), 1, 1.5).isnan()


def test_a_sure_and_right_prediction_costs_nothing_even_for_absent_classes() -> None:
    target = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(4))
    logits = 200.0 * F.one_hot(target, 5).permute(0, 3, 1, 2).float()
    assert ce_dice(logits, target, 1, 1).item() == pytest.approx(0, abs=1e-6)


def test_nothing_is_fetched_from_the_device() -> None:
    """A meta tensor has no values: whatever would fetch one raises."""
    logits = torch.empty(2, 19, 8, 8, device="meta", requires_grad=True)
    ce_dice(logits, torch.empty(2, 8, 8, dtype=torch.uint8, device="meta"), 1, 1.5).backward()
    assert logits.grad is not None and logits.grad.shape == logits.shape
