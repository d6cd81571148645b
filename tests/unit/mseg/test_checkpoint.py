"""Checkpoints: whole or not there, and a damaged one is noticed."""

import contextlib
import json
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from trainings import assert_same

from search.mseg import checkpoint


def state(epoch: int = 3) -> dict[str, Any]:
    torch.manual_seed(epoch)
    return {"epoch": epoch, "model": {"weight": torch.randn(50, 7)}, "history": {"lr": [1e-3, 2e-3]}}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, state())
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    assert loaded["epoch"] == 3
    assert loaded["history"] == {"lr": [1e-3, 2e-3]}
    torch.testing.assert_close(loaded["model"]["weight"], state()["model"]["weight"], rtol=0, atol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_no_checkpoint_is_none_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert checkpoint.load(tmp_path) is None
    assert not caplog.records


def test_damage_is_never_taken_for_weights(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint.save(tmp_path, state())
    path = tmp_path / "last.pt"
    whole = path.read_bytes()
    draw = random.Random(0)
    lost = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        caplog.clear()
        loaded = checkpoint.load(tmp_path)
        if loaded is None:
            lost += 1
            (record,) = caplog.records
            assert record.levelno == logging.WARNING
            assert "starts again at epoch 1" in record.message
        else:  # a bit that carries nothing, in the padding
            assert torch.equal(loaded["model"]["weight"], state()["model"]["weight"])
            assert loaded["epoch"] == 3
    assert lost > 150


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_half_a_file_is_noticed(share: float, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint.save(tmp_path, state())
    path = tmp_path / "last.pt"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert checkpoint.load(tmp_path) is None
    assert len(caplog.records) == 1


class Ran:
    """What a hostile pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("hostile",)


def test_a_checkpoint_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"epoch": 1, "model": Ran()}, tmp_path / "last.pt")
    assert checkpoint.load(tmp_path) is None
    assert not (tmp_path / "hostile").exists()


def test_weights_carry_what_they_are(tmp_path: Path) -> None:
    weights = {"weight": torch.arange(6.0).reshape(2, 3).T, "steps": torch.tensor(4)}
    checkpoint.write_weights(tmp_path, weights, {"epoch": 7, "classes": ["skin", "nose"]})
    checkpoint.settle_weights(tmp_path, best=True)
    path = tmp_path / "best.safetensors"
    loaded = safetensors.torch.load_file(path)
    assert torch.equal(loaded["weight"], weights["weight"])
    assert loaded["steps"].item() == 4
    with safetensors.safe_open(path, "pt") as file:
        about = {key: json.loads(value) for key, value in file.metadata().items()}
    assert about == {"epoch": 7, "classes": ["skin", "nose"]}
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask(), "others may read it as far as the umask says"
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


def test_a_state_becomes_one_tensor_of_each_type_and_itself_again(tmp_path: Path) -> None:
    """What a GPU's checkpoint goes through: few large copies, every tensor with its strides."""
    model = torch.nn.Conv2d(3, 8, 5).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.rand(1, 3, 9, 9)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": None}
    state["rest"] = [torch.tensor(7), torch.arange(6).reshape(2, 3).T, torch.zeros(0), "text", 0.5]
    flat, rebuild = checkpoint.flattened(state)
    assert {dtype: tensor.ndim for dtype, tensor in flat.items()} == {torch.float32: 1, torch.int64: 1}
    again = rebuild({dtype: tensor.clone() for dtype, tensor in flat.items()})
    assert_same(again, state)
    assert again["model"]["weight"].stride() == model.weight.stride() == (75, 1, 15, 3)
    assert again["optimizer"]["state"][0]["exp_avg"].stride() == (75, 1, 15, 3)

    with torch.no_grad():
        model.weight.zero_()  # training continues
    for folder, saved in ((tmp_path / "a", again), (tmp_path / "b", state)):
        folder.mkdir()
        checkpoint.save(folder, saved)
    assert_same(checkpoint.load(tmp_path / "a"), again)
    sizes = [(tmp_path / name / "last.pt").stat().st_size for name in "ab"]
    assert sizes[0] <= sizes[1], "what is shared is written once"
    assert again["model"]["weight"].any()


def test_a_gpus_checkpoint_is_copied_on_a_stream_of_its_own_and_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its parts stand in for those of CUDA and note when each is called."""
    calls: list[str] = []

    class Stream:
        def __init__(self, device: torch.device) -> None:
            assert device.type == "cuda"

        def wait_stream(self, other: str) -> None:
            calls.append(f"waits for {other}")

    class Event:
        def record(self) -> None:
            calls.append("recorded")

        def synchronize(self) -> None:
            calls.append("arrived")

    @contextlib.contextmanager
    def beside(stream: Stream) -> Iterator[None]:
        calls.append("begins")
        yield
        calls.append("goes on")

    empty_like = torch.empty_like

    def pinned(tensor: torch.Tensor, device: str, pin_memory: bool) -> torch.Tensor:
        assert device == "cpu" and pin_memory
        calls.append(str(tensor.dtype))
        return empty_like(tensor)

    for name, part in {"Stream": Stream, "Event": Event, "stream": beside}.items():
        monkeypatch.setattr(torch.cuda, name, part)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "the steps before")
    monkeypatch.setattr(torch, "empty_like", pinned)
    state = {"model": {"a": torch.rand(3, 2), "b": torch.rand(4)}, "epoch": torch.tensor(3), "rate": 0.1}
    arrived = checkpoint.to_host(state, torch.device("cuda"))
    begun = ["waits for the steps before", "begins", "torch.float32", "torch.int64", "recorded", "goes on"]
    assert calls == begun, "one copy for each type"
    assert_same(arrived(), state)
    assert calls == [*begun, "arrived"]


def umask() -> int:
    os.umask(mask := os.umask(0))
    return mask


def test_weights_that_are_not_the_best_leave_the_best_alone(tmp_path: Path) -> None:
    for epoch, best in ((1, True), (2, False)):
        checkpoint.write_weights(tmp_path, {"epoch": torch.tensor(epoch)}, {})
        checkpoint.settle_weights(tmp_path, best=best)
    assert safetensors.torch.load_file(tmp_path / "best.safetensors")["epoch"].item() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]
