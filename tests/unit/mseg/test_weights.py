"""Weights of any origin become the model they were trained as, or are refused in one line."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from trainings import small

from search.errors import DataError
from search.mseg import train
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.weights import load_trained, parameter_count
from search.objective import Run

WIDTHS, BLOCKS, REDUCTIONS = (32, 64, 128, 192), (1, 2, 2, 2), (8, 4, 2, 1)


class Patches(nn.Module):
    def __init__(self, inputs: int, width: int, side: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, width, side, stride, side // 2)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        x = self.proj(x)
        return self.norm(x.flatten(2).mT), *x.shape[2:]


class SelfAttention(nn.Module):
    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.q, self.kv = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        if reduction > 1:
            self.sr, self.norm = nn.Conv2d(width, width, reduction, reduction), nn.LayerNorm(width)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        source = x
        if hasattr(self, "sr"):
            source = self.norm(self.sr(x.mT.unflatten(2, (height, width))).flatten(2).mT)
        key, value = self.kv(source).chunk(2, -1)
        return self.proj((self.q(x) @ key.mT / x.shape[-1] ** 0.5).softmax(-1) @ value)


class Layer(nn.Module):
    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = SelfAttention(width, reduction)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.attn(self.norm1(x), height, width)
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class ByHand(nn.Module):
    """MicroSegFormer as the hand runs had it: unfolded, with their names."""

    def __init__(self, classes: int = 19, lmsa: bool = True) -> None:
        super().__init__()
        for i, width in enumerate(WIDTHS):
            inputs, side, stride = (3, 7, 4) if i == 0 else (WIDTHS[i - 1], 3, 2)
            self.add_module(f"patch_embed{i + 1}", Patches(inputs, width, side, stride))
            layers = nn.ModuleList(Layer(width, REDUCTIONS[i]) for _ in range(BLOCKS[i]))
            self.add_module(f"block{i + 1}", layers)
            self.add_module(f"norm{i + 1}", nn.LayerNorm(width))
        self.decoder = nn.Module()
        for i, width in enumerate(WIDTHS):
            self.decoder.add_module(f"linear_c{i + 1}", nn.Linear(width, 128))
        self.decoder.linear_fuse = nn.Sequential(nn.Linear(512, 128), nn.GELU(), nn.Linear(128, 128))
        if lmsa:
            self.decoder.lmsa = gate = nn.Module()
            gate.dw_conv3x3 = nn.Conv2d(128, 128, 3, padding=1, groups=128, bias=False)
            gate.pw_conv = nn.Conv2d(128, 128, 1, bias=False)
            gate.bn = nn.BatchNorm2d(128)
            squeeze, excite = nn.Linear(128, 32, bias=False), nn.Linear(32, 128, bias=False)
            gate.fc = nn.Sequential(squeeze, nn.ReLU(), excite, nn.Sigmoid())
        self.decoder.conv_seg = nn.Conv2d(128, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for i in range(4):
            x, height, width = getattr(self, f"patch_embed{i + 1}")(x)
            for layer in getattr(self, f"block{i + 1}"):
                x = layer(x, height, width)
            x = getattr(self, f"norm{i + 1}")(x).mT.unflatten(2, (height, width))
            projected = getattr(self.decoder, f"linear_c{i + 1}")(x.movedim(1, 3)).movedim(3, 1)
            features.append(projected)
        grown = [F.interpolate(each, features[0].shape[2:], mode="bilinear") for each in features]
        x = self.decoder.linear_fuse(torch.cat(grown, 1).movedim(1, 3)).movedim(3, 1)
        if hasattr(self.decoder, "lmsa"):
            gate = self.decoder.lmsa
            out = gate.bn(gate.pw_conv(gate.dw_conv3x3(x)))
            x = gate.fc(out.mean((2, 3)))[..., None, None] * out + x
        return self.decoder.conv_seg(F.interpolate(x, scale_factor=4, mode="bilinear"))


def hand_run(folder: Path, model: nn.Module, **others: Any) -> Path:
    """A file as the hand runs wrote it, NumPy's scalars among the scores."""
    state = {
        "epoch": 112,
        "model_state_dict": model.state_dict(),
        "best_f_score": np.float64(0.7041),
        "history": {"val_f_score": [np.float64(0.1), 0.2]},
        "config": {"use_amp": True, "learning_rate": 8e-4},
    }
    path = folder / "best_model.pth"
    torch.save(state | others, path)
    return path


@pytest.fixture
def by_hand() -> ByHand:
    torch.manual_seed(0)
    model = ByHand()
    for buffer in (model.decoder.lmsa.bn.running_mean, model.decoder.lmsa.bn.running_var):
        buffer.uniform_(0.5, 1.5)
    return model.eval()


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_trained(path)
    (line,) = str(caught.value).splitlines()
    assert len(line) < 400
    return line


def test_a_hand_runs_weights_predict_what_they_predicted(tmp_path: Path, by_hand: ByHand) -> None:
    trained = load_trained(hand_run(tmp_path, by_hand))
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(trained.model(images), by_hand(images), rtol=1e-5, atol=1e-6)
    assert (trained.classes, trained.mirror_pairs) == (CLASSES, MIRROR_PAIRS)
    assert (trained.epoch, trained.fitting.size, trained.model.training) == (113, (512, 512), False)
    assert trained.model.applied()["lmsa"] is True
    assert load_trained(tmp_path).path == tmp_path / "best_model.pth"


def test_a_hand_run_without_lmsa_and_with_other_classes_loads(tmp_path: Path) -> None:
    plain = ByHand(classes=3, lmsa=False).eval()
    trained = load_trained(hand_run(tmp_path, plain))
    images = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(trained.model(images), plain(images), rtol=1e-5, atol=1e-6)
    assert (trained.classes, trained.mirror_pairs) == (("class 0", "class 1", "class 2"), None)


def test_the_parameters_of_a_state_dict_are_counted_without_buffers_and_shared_ones_once() -> None:
    assert parameter_count(ByHand().state_dict()) == 1_747_923
    assert parameter_count(ByHand(lmsa=False).state_dict()) == 1_721_939
    weight = torch.zeros(10)
    assert parameter_count({"a": weight, "b": weight}) == 10


class Malicious:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_a_malicious_pickle_is_refused_and_nothing_in_it_runs(tmp_path: Path, by_hand: ByHand) -> None:
    harmful = tmp_path / "harm"
    path = hand_run(tmp_path, by_hand, config=Malicious(harmful))
    line = refused(path)
    assert "system" in line and "not loaded" in line
    assert not harmful.exists()
    torch.load(path, weights_only=False)
    assert harmful.exists(), "the pickle does no harm, so this test proves nothing"


def test_missing_unknown_and_misshapen_weights_are_named(tmp_path: Path, by_hand: ByHand) -> None:
    whole = by_hand.state_dict()
    lacking = OrderedDict((name, whole[name]) for name in whole if name != "block2.1.attn.sr.weight")
    assert "lack stages.1.blocks.1.attention.reduce.conv.weight" in refused(
        hand_run(tmp_path, by_hand, model_state_dict=lacking)
    )
    more = OrderedDict(whole, extra=torch.zeros(1))
    assert "unknown extra" in refused(hand_run(tmp_path, by_hand, model_state_dict=more))
    wide = OrderedDict(whole)
    wide["norm1.weight"] = torch.zeros(48)
    assert "stages.0.norm.weight is 48, not 32" in refused(
        hand_run(tmp_path, by_hand, model_state_dict=wide)
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x80\x02}q\x00.", b"{}" * 999])
@pytest.mark.parametrize("name", ["weights.pth", "best.safetensors"])
def test_files_that_are_no_weights_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert "damaged" in refused(tmp_path / name)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.pth")
    assert "no such file" in refused(tmp_path / "none.safetensors")
    assert "has no best.safetensors" in refused(tmp_path)
    torch.save([1, 2], tmp_path / "list.pth")
    assert "holds list" in refused(tmp_path / "list.pth")
    torch.save({"model_state_dict": {"weight": torch.zeros(2)}}, tmp_path / "other.pth")
    assert "not MicroSegFormer's" in refused(tmp_path / "other.pth")
    safetensors.torch.save_file({"weight": torch.zeros(2)}, tmp_path / "best.safetensors")
    assert "does not say which model" in refused(tmp_path)


def test_a_trials_weights_and_its_checkpoint_load_with_what_they_are(tmp_path: Path) -> None:
    list(train(small(trainer__ema=0.9, trainer__epochs=2), Run(tmp_path, seed=3)))
    state = torch.get_rng_state()
    best, last = load_trained(tmp_path), load_trained(tmp_path / "last.pt")
    assert torch.equal(torch.get_rng_state(), state), "loading draws no random numbers"
    assert best.path.name == "best.safetensors"
    for trained in (best, last):
        assert (trained.classes, trained.mirror_pairs, trained.fitting.size) == (
            CLASSES,
            MIRROR_PAIRS,
            (32, 32),
        )
    assert last.epoch == 2
    kept = safetensors.torch.load_file(tmp_path / "best.safetensors")
    for name, tensor in best.model.state_dict().items():
        assert torch.equal(tensor, kept[name])
    if best.epoch == last.epoch:
        for name, tensor in last.model.state_dict().items():
            assert torch.equal(tensor, kept[name]), "the averaged weights are those that were validated"
