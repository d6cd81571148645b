"""What every kind of model promises: sizes, options, training, resuming, and weights that load."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from trainings import assert_same_run, best, small

from search.mseg import check, describe, train
from search.mseg.learner import predictor
from search.mseg.models.convolutions import ConvNorm, PointConv, SeparableConv
from search.mseg.models.registry import ModelConfig, build, parameters
from search.mseg.optimizers import MovingAverage
from search.objective import Run

OWN = ("microsegformer", "deeplab", "unet")
LIMIT = 1_821_085
"""The challenge's, exclusive."""

NET = """
from torch import nn

class TinyUNet(nn.Module):
    def __init__(self, classes, features=8, dilations=(1,)):
        super().__init__()
        self.stem = nn.Conv2d(3, features, 3, stride=2, padding=1)
        layers = [nn.Conv2d(features, features, 3, padding=d, dilation=d) for d in dilations]
        self.middle = nn.Sequential(*layers, nn.BatchNorm2d(features))
        self.head = nn.Conv2d(features, classes, 1)

    def forward(self, x):
        return self.head(self.middle(self.stem(x)).relu())
"""

SIZES = {
    "microsegformer": {"model.width_4": 32, "model.blocks_2": 1, "model.decoder_width": 32},
    "deeplab": {"model.width": 8, "model.depth": 1, "model.decoder_width": 16, "model.dropout": 0.2},
    "unet": {"model.width": 8, "model.depth": 2, "model.dropout": 0.2},
    "import": {"model.name": "nets_of_mine.TinyUNet", "model.arguments.dilations": [1, 2]},
}


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file of networks."""
    (tmp_path / "nets_of_mine.py").write_text(NET)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.delitem(sys.modules, "nets_of_mine", raising=False)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    return tmp_path


def settings(kind: str, **more: Any) -> dict[str, Any]:
    options = {"model.kind": kind, **SIZES[kind], **more}
    return {name.replace(".", "__"): value for name, value in options.items()}


@pytest.mark.parametrize(
    ("kind", "count"), [("microsegformer", 1_747_923), ("deeplab", 1_606_771), ("unet", 1_648_723)]
)
def test_parameters_by_default(kind: str, count: int) -> None:
    assert parameters(ModelConfig.of(kind=kind), 19) == count < LIMIT


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("sides", [(32, 40), (72, 48)])
def test_any_multiple_of_8_and_any_number_of_classes(
    kind: str, sides: tuple[int, int], beside: Path
) -> None:
    model = build(small(**settings(kind)).model, 3).eval()
    images = torch.rand(2, 3, *sides)
    with torch.no_grad():
        assert model(images).shape == (2, 3, *sides)
        assert model(images, size=(50, 31)).shape == (2, 3, 50, 31)
        with torch.autocast("cpu", torch.bfloat16):
            assert model.coarse(images).dtype == torch.float32


@pytest.mark.parametrize("kind", OWN)
def test_options_are_read_back_and_change_the_model(kind: str) -> None:
    config = small(**settings(kind)).model
    assert build(config, 5).applied() == config.options
    assert parameters(config, 5) < parameters(ModelConfig.of(kind=kind), 5) / 2


@pytest.mark.parametrize("stride", [8, 16])
def test_output_stride_is_that_of_the_encoders_last_grid(stride: int) -> None:
    model = build(ModelConfig.of(kind="deeplab", width=8, depth=1, output_stride=stride), 2)
    grids: list[int] = []
    model.pyramid.register_forward_hook(lambda _, inputs, out: grids.append(inputs[0].shape[2]))
    model(torch.rand(1, 3, 64, 64))
    assert grids == [64 // stride] and model.applied()["output_stride"] == stride


@pytest.mark.parametrize("kind", ["deeplab", "unet"])
def test_an_image_is_predicted_alike_alone_and_in_a_batch_by_averaged_weights_too(kind: str) -> None:
    """So there are no statistics of a batch that averaging or evaluating could get wrong."""
    torch.manual_seed(0)
    model = build(ModelConfig.of(kind=kind, width=8, depth=1, dropout=0.0), 4)
    average = MovingAverage(model, 0.9)
    average.update(model)
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        together = model.train()(images)
        torch.testing.assert_close(model(images[:1]), together[:1], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(average.model(images), together, atol=1e-5, rtol=1e-4)
    assert not list(model.buffers())


@pytest.mark.parametrize("stride", [1, 2])
def test_a_1x1_convolution_is_one(stride: int) -> None:
    torch.manual_seed(0)
    layer, x = PointConv(6, 4, stride), torch.rand(2, 6, 8, 10)
    expected = nn.functional.conv2d(x, layer.weight[:, :, None, None], stride=stride)
    torch.testing.assert_close(layer(x), expected)


def test_a_separable_convolution_is_its_two_parts() -> None:
    torch.manual_seed(0)
    layer, x = SeparableConv(8, 16, stride=2, dilation=2), torch.rand(2, 8, 9, 12)
    each, across = layer[0].weight, layer[1].weight
    expected = nn.functional.conv2d(x, each, stride=2, padding=2, dilation=2, groups=8)
    expected = nn.functional.conv2d(expected, across[:, :, None, None])
    grouped = expected.unflatten(1, (2, 8))
    mean, var = (
        f(grouped, dim=(2, 3, 4), keepdim=True)
        for f in (torch.mean, lambda t, **k: t.var(correction=0, **k))
    )
    expected = ((grouped - mean) / (var + 1e-5).sqrt()).flatten(1, 2).relu()
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)
    assert isinstance(ConvNorm(8, 16, active=False)[-1], nn.GroupNorm)


@pytest.mark.parametrize("kind", SIZES)
def test_a_killed_training_goes_on_to_the_same_weights_which_load(kind: str, beside: Path) -> None:
    config = small(**settings(kind, **{"trainer.epochs": 2, "trainer.ema": 0.9}))
    check(config, describe(config, None))
    whole = list(train(config, Run(beside / "whole")))
    assert len(whole) == 2 and all(result.finite for result in whole)
    assert (
        whole[0].applied.items()
        >= {
            f"model.{name}": value
            for name, value in config.model.options.items()
            if name in whole[0].applied
        }.items()
    )
    epochs = train(config, Run(beside / "killed"))
    next(epochs)
    epochs.close()
    (beside / "killed" / "best.safetensors").unlink()
    resumed = list(train(config, Run(beside / "killed")))
    assert [result.resumed for result in resumed] == [True, False]
    assert_same_run(beside / "whole", beside / "killed")

    weights, about = best(beside / "whole")
    assert about["model"]["kind"] == kind
    model = predictor(config, 19, torch.device("cpu")).model.eval()
    model.load_state_dict(weights)
    assert model(torch.rand(1, 3, 32, 32)).shape == (1, 19, 32, 32)


def test_two_kinds_have_their_own_default_for_an_option_of_one_name() -> None:
    deeplab, unet = ModelConfig.of(kind="deeplab"), ModelConfig.of(kind="unet")
    assert deeplab.options["depth"] != unet.options["depth"]
    assert ModelConfig.of(kind="deeplab", depth=9).options["depth"] == 9
    with pytest.raises(ValueError, match="less than or equal to 5"):
        ModelConfig.of(kind="unet", depth=9)
    assert "depth" not in ModelConfig.of(kind="microsegformer", depth=9).options
