"""The loss of a run: which terms are on, which configs take the fast path, what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor

from search.errors import SpaceError
from search.mseg import configure
from search.mseg.data.labels import IGNORED
from search.mseg.losses.criterion import Criterion, LossConfig, is_fused
from search.mseg.losses.terms import TERMS, LabelledPixels

OFF = {"ce_weight": 0.0, "dice_weight": 0.0}


def no_frequencies() -> Tensor:
    raise AssertionError("the training masks were counted")


def criterion(may_ignore: bool = False, **settings: Any) -> Criterion:
    return Criterion(LossConfig(**settings), may_ignore=may_ignore, class_frequencies=no_frequencies)


def case(ignored: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 8, 8, generator=generator, requires_grad=True)
    target = torch.randint(5, (3, 8, 8), generator=generator, dtype=torch.uint8)
    if ignored:
        target[0, :3] = IGNORED
    return logits, target


def test_the_fast_path_is_for_plain_cross_entropy_with_dice_where_no_pixel_is_ignored() -> None:
    assert is_fused(LossConfig(), may_ignore=False)
    assert is_fused(LossConfig(ce_weight=0.3, dice_weight=0.7), may_ignore=False)
    assert not is_fused(LossConfig(), may_ignore=True)
    for other in (
        {"ce_weight": 0.0},
        {"dice_weight": 0.0},
        {"lovasz_weight": 0.1},
        {"boundary_weight": 0.1},
        {"label_smoothing": 0.1},
        {"focal_gamma": 1.0},
        {"class_weights": "median_frequency"},
    ):
        assert not is_fused(LossConfig(**other), may_ignore=False), other


@pytest.mark.parametrize("weights", [{}, {"ce_weight": 0.3, "dice_weight": 0.7}])
def test_the_fast_path_is_the_sum_of_the_terms(weights: dict[str, float]) -> None:
    logits, target = case()
    fast, slow = criterion(**weights), criterion(may_ignore=True, **weights)
    assert (fast.fused, slow.fused) == (True, False)
    values = [of(logits, target) for of in (fast, slow)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits) for value in values))


@pytest.mark.parametrize("ignored", [False, True])
def test_the_loss_is_the_weighted_sum_of_the_terms_that_are_on(ignored: bool) -> None:
    logits, target = case(ignored)
    of = {name: TERMS[name](LabelledPixels(logits, target, no_frequencies)).mean() for name in TERMS}
    settings = {"ce_weight": 0.5, "dice_weight": 0.0, "lovasz_weight": 0.25, "boundary_weight": 2.0}
    expected = 0.5 * of["ce"] + 0.25 * of["lovasz"] + 2 * of["boundary"]
    torch.testing.assert_close(criterion(ignored, **settings)(logits, target), expected)
    for name in TERMS:
        alone = criterion(ignored, **OFF | {f"{name}_weight": 3.0})
        torch.testing.assert_close(alone(logits, target), 3 * of[name])


def test_a_term_of_weight_zero_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def computed(*_: Any, **__: Any) -> Tensor:
        raise AssertionError("it was computed")

    for name in ("dice", "boundary"):
        monkeypatch.setitem(TERMS, name, computed)
    live = criterion(dice_weight=0.0, lovasz_weight=1.0)
    assert live.terms.keys() == {"ce", "lovasz"}
    assert live(*case()).isfinite()


def test_training_masks_are_counted_only_for_class_weights() -> None:
    criterion(lovasz_weight=1.0)(*case())
    with pytest.raises(AssertionError, match="were counted"):
        criterion(class_weights="median_frequency")(*case())
    criterion(ce_weight=0.0, class_weights="median_frequency")(*case())


def test_diverged_logits_give_nan_whatever_the_terms() -> None:
    for name in TERMS:
        live = criterion(**OFF | {f"{name}_weight": 1.0})
        target = torch.zeros(1, 4, 4, dtype=torch.uint8)
        target[0, 0, 0] = 1
        assert live(torch.full((1, 3, 4, 4), torch.nan), target).isnan(), name


def test_what_is_applied_is_every_weight_and_the_options_of_the_terms_that_are_on() -> None:
    weights = {f"loss.{name}_weight": 0.0 for name in TERMS}
    only_dice = criterion(ce_weight=0.0)
    assert only_dice.applied() == weights | {"loss.dice_weight": 1.5}
    assert criterion(boundary_weight=0.5, boundary_tolerance=3).applied() == weights | {
        "loss.ce_weight": 1.0,
        "loss.dice_weight": 1.5,
        "loss.boundary_weight": 0.5,
        "loss.label_smoothing": 0.0,
        "loss.focal_gamma": 0.0,
        "loss.class_weights": "none",
        "loss.boundary_tolerance": 3,
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("loss.dice_weight", -0.1, "loss.dice_weight: -0.1 should be greater than or equal to 0"),
        ("loss.lovasz_weight", float("nan"), "loss.lovasz_weight: nan should be a finite number"),
        ("loss.boundary_weight", float("inf"), "loss.boundary_weight: inf should be a finite number"),
        ("loss.label_smoothing", 1.0, "loss.label_smoothing: 1.0 should be less than 1"),
        ("loss.focal_gamma", -1.0, "loss.focal_gamma: -1.0 should be greater than or equal to 0"),
        (
            "loss.class_weights",
            "median",
            "loss.class_weights: 'median' should be 'none', 'median_frequency' or 'sqrt_median_frequency'",
        ),
        ("loss.boundary_tolerance", 0, "loss.boundary_tolerance: 0 should be greater than or equal to 1"),
        ("loss.dice_wait", 1.0, "loss.dice_wait: no such setting (did you mean 'loss.dice_weight'?)"),
        ("loss.kind", "focal", "loss.kind: no such setting; loss has ce_weight, "),
    ],
)
def test_a_wrong_setting_is_one_line(name: str, value: Any, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        configure({name: value})
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)
    assert refused.value.parameter == name


def test_all_weights_zero_are_refused() -> None:
    with pytest.raises(
        SpaceError, match=r"^loss: ce_weight, dice_weight, .* are all 0, .*set one above 0$"
    ):
        configure({"loss.ce_weight": 0.0, "loss.dice_weight": 0.0})


def test_the_kind_of_older_documents_is_the_default_loss() -> None:
    older = configure({"loss.kind": "ce_dice", "loss.dice_weight": 0.5})
    assert older == configure({"loss.dice_weight": 0.5})
    assert "loss.kind" not in older.to_params()
