"""MicroSegFormer against a plain, unfolded reference, and what it promises of dropout and shapes."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from search.errors import SpaceError
from search.mseg.models.layers import Attention, Dropout, Pointwise, Reduction
from search.mseg.models.microsegformer import EncoderStage, MicroSegFormer
from search.mseg.models.model import SegmentationModel, largest, padded, upsample_planes
from search.mseg.models.registry import ModelConfig, build, parameters

REDUCTIONS = (8, 4, 2, 1)
STRIDES = (4, 2, 2, 2)


def reference(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """The design as described: every stage upsampled and concatenated, the head at full resolution.

    In training mode (batch statistics), without dropout; NCHW between stages, one head, explicit softmax.
    """

    def linear(name: str, x: Tensor) -> Tensor:
        bias = weights.get(f"{name}.bias", torch.zeros((), dtype=x.dtype))
        return x @ weights[f"{name}.weight"].T + bias

    def conv(name: str, x: Tensor, **settings: int) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), **settings)

    def pointwise(name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"][:, :, None, None], weights.get(f"{name}.bias"))

    def norm(name: str, x: Tensor) -> Tensor:
        scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * scale + shift

    def tokens(x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)

    def grid(x: Tensor, height: int, width: int) -> Tensor:
        return x.transpose(1, 2).reshape(len(x), -1, height, width)

    def up(x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)

    x, features = images, []
    for i, (stride, reduction) in enumerate(zip(STRIDES, REDUCTIONS, strict=True)):
        x = conv(f"stages.{i}.patches.conv", x, stride=stride, padding=3 if i == 0 else 1)
        height, width = x.shape[2:]
        x = norm(f"stages.{i}.patches.norm", tokens(x))
        for j in range(1 if i == 0 else 2):
            block = f"stages.{i}.blocks.{j}"
            y = norm(f"{block}.norm1", x)
            query, source = linear(f"{block}.attention.q", y), y
            if reduction > 1:
                source = conv(f"{block}.attention.reduce.conv", grid(y, height, width), stride=reduction)
                source = norm(f"{block}.attention.reduce.norm", tokens(source))
            key, value = linear(f"{block}.attention.kv", source).split(query.shape[-1], dim=-1)
            mixed = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(-1) @ value
            x = x + linear(f"{block}.attention.proj", mixed)
            hidden = F.gelu(linear(f"{block}.mlp.0", norm(f"{block}.norm2", x)))
            x = x + linear(f"{block}.mlp.3", hidden)
        x = grid(norm(f"stages.{i}.norm", x), height, width)
        features.append(x)

    height, width = features[0].shape[2:]
    projected = [
        grid(linear(f"decoder.stages.{i}", tokens(f)), *f.shape[2:]) for i, f in enumerate(features)
    ]
    joined = torch.cat([up(p, (height, width)) for p in projected], dim=1)
    x = linear("decoder.proj", F.gelu(linear("decoder.fusion", tokens(joined))))
    x = grid(x, height, width)
    if "decoder.lmsa.norm.weight" in weights:
        out = conv("decoder.lmsa.depthwise", x, padding=1, groups=128)
        out = pointwise("decoder.lmsa.pointwise", out)
        out = out - out.mean((0, 2, 3), keepdim=True)
        out = out / (out.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
        scale, shift = weights["decoder.lmsa.norm.weight"], weights["decoder.lmsa.norm.bias"]
        out = out * scale[:, None, None] + shift[:, None, None]
        squeezed = linear("decoder.lmsa.squeeze", out.mean((2, 3))).relu()
        x = linear("decoder.lmsa.excite", squeezed).sigmoid()[:, :, None, None] * out + x
    return pointwise("head", up(x, (4 * height, 4 * width)))


def example(classes: int = 19, seed: int = 0, **settings: object) -> SegmentationModel:
    torch.manual_seed(seed)
    return build(ModelConfig.of(**settings), classes)


def shaken(model: nn.Module) -> nn.Module:
    """Every parameter away from its initial zero or one, so that each one matters."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize(("lmsa", "parameters"), [(True, 1_747_923), (False, 1_721_939)])
def test_parameters_are_counted_exactly(lmsa: bool, parameters: int) -> None:
    assert sum(p.numel() for p in example(lmsa=lmsa).parameters() if p.requires_grad) == parameters


@pytest.mark.parametrize("lmsa", [True, False])
def test_folded_equals_the_plain_design_in_value_and_gradient(lmsa: bool) -> None:
    model = shaken(example(lmsa=lmsa, dropout=0.0)).double()
    images = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    weights = dict(model.named_parameters())
    ours, theirs = model(images), reference(weights, images)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)

    upstream = torch.randn_like(theirs)
    gradients = torch.autograd.grad(ours, list(weights.values()), upstream)
    expected = torch.autograd.grad(theirs, list(weights.values()), upstream)
    for name, gradient, wanted in zip(weights, gradients, expected, strict=True):
        scale = wanted.abs().max().item()
        assert scale > 0, name
        torch.testing.assert_close(gradient, wanted, rtol=1e-8, atol=1e-9 * max(scale, 1), msg=name)


@pytest.mark.parametrize("lmsa", [True, False])
def test_folded_equals_the_plain_design_in_float32(lmsa: bool) -> None:
    model = shaken(example(lmsa=lmsa, dropout=0.0))
    images = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        expected = reference(dict(model.named_parameters()), images)
        difference = (model(images) - expected).abs().max().item()
    assert difference <= 1e-5 * max(1.0, expected.abs().max().item())


def test_the_state_dict_is_that_of_the_plain_design() -> None:
    model = example().eval()
    images = torch.rand(1, 3, 64, 64)
    names = list(model.state_dict())
    logits = model(images)
    state = model.state_dict()
    assert list(state) == names
    assert state["decoder.fusion.weight"].shape == (128, 512)
    assert [tuple(state[f"decoder.stages.{i}.weight"].shape) for i in range(4)] == [
        (128, 32),
        (128, 64),
        (128, 128),
        (128, 192),
    ]
    other = example(seed=1).eval()
    other.load_state_dict(state)
    assert torch.equal(other(images), logits)


@pytest.mark.parametrize(("classes", "height", "width"), [(1, 32, 32), (2, 96, 32), (256, 32, 160)])
def test_any_number_of_classes_and_any_multiple_of_32(classes: int, height: int, width: int) -> None:
    model = example(classes).eval()
    images = torch.rand(2, 3, height, width)
    with torch.no_grad():
        logits = model(images)
        assert logits.shape == (2, classes, height, width)
        assert logits.is_contiguous(memory_format=torch.channels_last)
        assert model(images, size=(50, 201)).shape == (2, classes, 50, 201)


def test_other_sizes_are_upsampled_straight_from_a_quarter() -> None:
    model = example().eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        quarter = model(images, size=(16, 24))
        for size in [(64, 96), (100, 130)]:
            expected = F.interpolate(quarter, size, mode="bilinear", align_corners=False)
            torch.testing.assert_close(model(images, size=size), expected)
        torch.testing.assert_close(model(images), model(images, size=(64, 96)))


@pytest.mark.parametrize(("height", "width"), [(40, 32), (32, 72), (56, 88)])
def test_other_multiples_of_8_are_padded_with_their_last_pixels_and_cropped(
    height: int, width: int
) -> None:
    model = example().eval()
    images = torch.rand(2, 3, height, width)
    rows, columns = (torch.arange(side + -side % 32).clamp(max=side - 1) for side in (height, width))
    with torch.no_grad():
        coarse = model.coarse(images)
        assert coarse.shape == (2, 19, height // 4, width // 4)
        whole = model.coarse(images[:, :, rows][..., columns])
        torch.testing.assert_close(coarse, whole[:, :, : height // 4, : width // 4])
        assert model(images).shape == (2, 19, height, width)


def test_a_crop_that_would_cut_through_the_grid_comes_after_the_upsampling() -> None:
    images = torch.rand(1, 3, 40, 64)
    logits = padded(lambda x: F.avg_pool2d(x, 16), images, 64)
    below = images[:, :, -1:].expand(-1, -1, 24, -1)
    expected = F.interpolate(F.avg_pool2d(torch.cat([images, below], 2), 16), (64, 64), mode="bilinear")
    torch.testing.assert_close(logits, expected[:, :, :40])


def test_wrong_settings_of_a_model_are_refused() -> None:
    with pytest.raises(
        SpaceError, match=r"^model\.kind: 'segformer' is not one of deeplab, import, microsegformer"
    ) as wrong:
        ModelConfig.of(kind="segformer")
    assert wrong.value.parameter == "model.kind"
    for dropout in (-0.01, 0.71, float("nan")):
        with pytest.raises(ValidationError):
            ModelConfig.of(dropout=dropout)
    for size in ({"width_2": 4}, {"blocks_1": 0}, {"decoder_width": 64.0}, {"width_5": 32}):
        with pytest.raises(ValidationError):
            ModelConfig.of(**size)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, two, other = (example(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_weights_start_with_the_promised_spread() -> None:
    for name, module in example().named_modules():
        if isinstance(module, nn.Conv2d):
            std = (2 / (module.kernel_size[0] ** 2 * module.out_channels / module.groups)) ** 0.5
        elif isinstance(module, Pointwise):
            std = (2 / module.out_features) ** 0.5
        elif isinstance(module, nn.Linear):
            std = 0.02
        else:
            continue
        assert module.weight.std().item() == pytest.approx(std, rel=0.1), name
        assert module.bias is None or not module.bias.any(), name


def test_dropout_varies_by_stage_and_acts_in_four_places() -> None:
    """Shares of zeros that a training pass really makes, by stage.

    The places are the attention's weights and output and both layers of the MLP.
    """
    model = example(dropout=0.4)
    dropped: dict[int, list[float]] = {i: [] for i in range(4)}
    for i, stage in enumerate(module for module in model.modules() if isinstance(module, EncoderStage)):
        for module in stage.modules():
            if isinstance(module, Dropout):
                module.register_forward_hook(
                    lambda _, inputs, out, i=i: dropped[i].append(
                        (out[inputs[0] != 0] == 0).float().mean().item()
                    )
                )
    model(torch.rand(8, 3, 128, 128))
    assert [len(shares) for shares in dropped.values()] == [4, 8, 8, 8]
    for i, expected in enumerate([0.2, 0.3, 0.4, 0.5]):
        assert dropped[i] == pytest.approx([expected] * len(dropped[i]), abs=0.03)


def test_attention_in_training_is_the_fused_kernel_with_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the CPU does in the kernel's place gives the same where nothing is dropped, gradients too."""
    torch.manual_seed(0)
    attention = Attention(32, 8, dropout=0.3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(2, 16, 24, 32, requires_grad=True)
    expected = attention.eval()(x)
    (slope,) = torch.autograd.grad(expected.square().sum(), x)
    monkeypatch.setattr(Dropout, "forward", lambda self, x: x)
    monkeypatch.setattr(F, "scaled_dot_product_attention", None)
    trained = attention.train()(x)
    torch.testing.assert_close(trained, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        torch.autograd.grad(trained.square().sum(), x)[0], slope, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize(("height", "width", "side"), [(16, 24, 8), (8, 4, 2)])
def test_a_reduction_is_the_convolution(height: int, width: int, side: int) -> None:
    torch.manual_seed(0)
    reduction = Reduction(5, side).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(3, height, width, 5)
    by_convolution = reduction.norm(reduction.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    torch.testing.assert_close(reduction(x), by_convolution, atol=1e-5, rtol=1e-5)


def test_training_is_random_evaluation_is_not() -> None:
    model = example(dropout=0.3)
    images = torch.rand(2, 3, 32, 32)
    assert not torch.equal(model(images), model(images))
    model.eval()
    torch.testing.assert_close(model(images), model(images), rtol=0, atol=0)
    without = example(dropout=0.0).eval()
    without.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(images), without(images), rtol=0, atol=0)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.15, 0.5, 0.875])
def test_dropout_drops_its_share_everywhere_alike_and_scales_the_rest(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(400_003, requires_grad=True)  # no multiple of four: the last draw is used in part
    y = Dropout(p)(x)
    kept = (y != 0).double()
    assert y[y != 0].unique().tolist() == pytest.approx([1 / (1 - p)])
    # Four elements share a draw: each of its sixteen-bit parts has to be uniform on its own...
    quarters = kept[: 4 * (len(kept) // 4)].view(-1, 4)
    np.testing.assert_allclose(quarters.mean(0), 1 - p, atol=5 * (0.25 / 100_000) ** 0.5)
    if p > 0:  # ... and independent of the others.
        correlation = np.corrcoef(quarters.numpy().T)
        np.testing.assert_allclose(correlation, np.eye(4), atol=5 / 100_000**0.5)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y.detach())


def test_dropout_follows_the_global_seed() -> None:
    x = torch.ones(10, 7)
    dropout = Dropout(0.5)
    torch.manual_seed(3)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(first, second)
    assert torch.equal(dropout.eval()(x), x)


SIZES = {
    "width_1": 24,
    "width_2": 40,
    "width_3": 72,
    "width_4": 96,
    "blocks_1": 2,
    "blocks_2": 1,
    "blocks_3": 3,
    "blocks_4": 1,
    "decoder_width": 48,
}


@pytest.mark.parametrize("options", [{"lmsa": False}, {"dropout": 0.0}, {"dropout": 0.7}, SIZES])
def test_applied_is_what_was_asked_for(options: dict[str, object]) -> None:
    config = ModelConfig.of(**options)
    assert build(config, 5).applied() == config.options
    assert options.items() <= config.options.items()


def test_sizes_are_those_of_the_layers() -> None:
    state = example(5, **SIZES).state_dict()
    assert [state[f"stages.{i}.patches.conv.weight"].shape[0] for i in range(4)] == [24, 40, 72, 96]
    blocks = {tuple(map(int, name.split(".")[1:4:2])) for name in state if ".blocks." in name}
    assert sorted(blocks) == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (2, 2), (3, 0)]
    assert state["decoder.fusion.weight"].shape == (48, 4 * 48) and state["head.weight"].shape == (5, 48)
    assert example(5, **SIZES).eval()(torch.rand(1, 3, 32, 64)).shape == (1, 5, 32, 64)


@pytest.mark.parametrize("stage", range(4))
def test_applied_notices_a_stage_that_has_another_dropout(stage: int) -> None:
    model = example()
    assert isinstance(model, MicroSegFormer)
    attention = [module for module in model.stages[stage].modules() if isinstance(module, Attention)]
    attention[-1].dropout.p = 0.01
    with pytest.raises(RuntimeError, match="dropout by stage"):
        model.applied()


def test_bf16_autocast_gives_float32_logits_close_to_full_precision() -> None:
    model = example(dropout=0.0)
    images = torch.rand(2, 3, 64, 64)
    full = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(images)
    mixed.square().mean().backward()
    assert mixed.dtype == torch.float32
    assert (mixed - full).abs().mean() < 0.03 * full.std()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


def test_nothing_is_fetched_from_the_device() -> None:
    """A meta tensor has no values: whatever would fetch one raises."""
    model = example().to("meta")
    model(torch.empty(2, 3, 64, 64, device="meta")).sum().backward()


def test_counting_allocates_nothing_and_draws_nothing():
    before = torch.get_rng_state()
    assert parameters(ModelConfig.of(), 19) == 1_747_923
    assert parameters(ModelConfig.of(lmsa=False), 19) == 1_721_939
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [(64, 64), (30, 41), (8, 12)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_upsampling_by_matrices_is_bilinear_and_so_is_its_gradient(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 8, 12, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
    with torch.inference_mode():
        upsample_planes(logits, size)  # what it keeps must serve autograd, too
    found, expected = upsample_planes(logits, size), F.interpolate(logits, size, mode="bilinear")
    upstream = torch.randn_like(found)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        *(torch.autograd.grad(each, logits, upstream) for each in (found, expected)), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_predicted_class_is_the_first_of_the_largest(layout: torch.memory_format) -> None:
    logits = torch.randint(0, 3, (2, 19, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    found = largest(logits.to(memory_format=layout))
    np.testing.assert_array_equal(found, logits.numpy().argmax(1))
    assert largest(torch.full_like(logits, torch.nan)).max() < 19  # diverged: any class, but one of them
