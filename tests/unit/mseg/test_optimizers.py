"""Optimisers: what they are, which weights they take, that their trainings resume to the last bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import SMALL, assert_same_run

from search.errors import SpaceError
from search.mseg import configure, train
from search.mseg.optimizers import OPTIMIZERS, OptimizerConfig, applied, build
from search.objective import Run


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Mixed(torch.nn.Module):
    """A convolution, a matrix, a norm and biases."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3)
        self.matrix = torch.nn.Linear(4, 5)
        self.norm = torch.nn.LayerNorm(5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.matrix(self.convolution(images).mean((2, 3)))).square().sum()


def stepped(kind: str, model: torch.nn.Module, steps: int = 1, **options: Any) -> torch.optim.Optimizer:
    optimizer = build(OptimizerConfig.of(kind=kind, learning_rate=0.1, **options), model)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(2, 3, 8, 8)).backward()
        optimizer.step()
    return optimizer


def pair() -> tuple[Mixed, Mixed]:
    torch.manual_seed(0)
    one, other = Mixed(), Mixed()
    other.load_state_dict(one.state_dict())
    return one, other


def test_sgd_is_nesterov_momentum_with_the_decay_in_the_gradient() -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    model = torch.nn.ParameterList([weight])
    optimizer = build(
        OptimizerConfig.of(kind="sgd", learning_rate=0.1, momentum=0.5, weight_decay=0.25), model
    )
    expected, velocity = 2.0, 0.0
    for gradient in (1.0, -2.0, 0.5):
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        decayed = gradient + 0.25 * expected
        velocity = 0.5 * velocity + decayed
        expected -= 0.1 * (decayed + 0.5 * velocity)
        assert weight.item() == pytest.approx(expected, rel=1e-6)


def test_muon_takes_the_matrices_and_adamw_the_rest() -> None:
    one, other = pair()
    stepped("muon", one, steps=3, weight_decay=0.01, momentum=0.9)
    adamw = torch.optim.AdamW(
        [weight for weight in other.parameters() if weight.ndim != 2], lr=0.1, weight_decay=0.01
    )
    muon = torch.optim.Muon(
        [other.matrix.weight],
        lr=0.1,
        weight_decay=0.01,
        momentum=0.9,
        adjust_lr_fn="match_rms_adamw",
    )
    for _ in range(3):
        other.zero_grad()
        other(torch.ones(2, 3, 8, 8)).backward()
        adamw.step()
        muon.step()
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_model_without_matrices_is_trained_by_adamw_alone() -> None:
    one, other = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(3, 4, 3)
    other.load_state_dict(one.state_dict())
    for kind, model in {"muon": one, "adamw": other}.items():
        optimizer = build(OptimizerConfig.of(kind=kind), model)
        model(torch.ones(1, 3, 4, 4)).sum().backward()
        optimizer.step()
    assert torch.equal(one.weight, other.weight)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_rate_of_every_group_is_the_schedules_and_options_are_read_back(kind: str) -> None:
    config = OptimizerConfig.of(kind=kind, learning_rate=0.1, weight_decay=0.03)
    model, _ = pair()
    optimizer = build(config, model)
    assert {group["lr"] for group in optimizer.param_groups} == {0.1}
    held = applied(config, optimizer)
    assert held == {f"optimizer.{name}": value for name, value in config.options.items()}
    frozen = [weight.detach().clone() for weight in model.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    model(torch.ones(2, 3, 8, 8)).backward()
    optimizer.step()
    assert all(map(torch.equal, frozen, model.parameters()))


@pytest.mark.parametrize("kind", ["sgd", "muon"])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path, kind: str) -> None:
    config = configure(SMALL | {"optimizer.kind": kind, "trainer.epochs": 2})
    straight, broken = Run(tmp_path / "straight", seed=3), Run(tmp_path / "broken", seed=3)
    list(train(config, straight))
    first = train(config, broken)
    next(first)
    first.close()
    after = list(train(config, broken))
    assert [result.resumed for result in after] == [True, False]
    assert after[-1].applied["optimizer.momentum"] == config.optimizer.options["momentum"]
    assert_same_run(straight.dir, broken.dir)


def test_a_torch_without_muon_is_told_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(SpaceError) as refused:
        configure({"optimizer.kind": "muon"})
    assert refused.value.parameter == "optimizer.kind"
    assert str(refused.value).startswith("optimizer.kind: muon needs torch.optim.Muon, which PyTorch ")
    configure({"optimizer.kind": "sgd"})


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [("sgd", "momentum", 0.0), ("sgd", "momentum", 1.0), ("muon", "weight_decay", -1.0)],
)
def test_options_out_of_range_are_refused(kind: str, name: str, value: float) -> None:
    with pytest.raises(SpaceError, match=rf"^optimizer\.{name}: {value} "):
        configure({"optimizer.kind": kind, f"optimizer.{name}": value})
