"""`trainer.compile`: one compilation for all trials, results as without, and never a crash for lack of it.

PyTorch's `eager` backend stands in for the compiler: it traces as the real one does and translates nothing,
which would take minutes.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import small

from search.mseg import compiling, train
from search.mseg.compiling import CompiledModel
from search.mseg.models.model import SegmentationModel
from search.mseg.models.registry import MODELS
from search.objective import Run

CPU = torch.device("cpu")
NARROW = {f"width_{stage}": 8 for stage in (1, 2, 3, 4)} | {"decoder_width": 8}
NARROW |= {f"blocks_{stage}": 1 for stage in (2, 3, 4)}


def traced(monkeypatch: pytest.MonkeyPatch, backend: Any = "eager") -> Any:
    """Has the compiler's place taken by `backend`, whatever was traced before; PyTorch's counters."""
    from torch._dynamo.utils import counters  # slow to import

    torch.compiler.reset()
    counters.clear()
    compiled = torch.compile(compiling._coarse, dynamic=False, backend=backend)
    monkeypatch.setattr(compiling, "_compiled", lambda: compiled)
    monkeypatch.setattr(compiling, "_missing", lambda _: None)
    return counters


def gradients(model: SegmentationModel, forward: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits of two images, and the gradients of their mean square."""
    torch.manual_seed(1)
    images = torch.rand(2, 3, 32, 32)
    logits = forward(images)
    logits.square().mean().backward()
    return logits.detach(), [weight.grad for weight in model.parameters() if weight.grad is not None]


def test_models_of_every_dropout_rate_share_one_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = traced(monkeypatch)
    for trial in range(3):
        torch.manual_seed(trial)
        model = MODELS["microsegformer"](19, dropout=0.3 * trial, **NARROW).train()
        forward = CompiledModel(model, CPU)
        plain = copy.deepcopy(model)
        logits, found = gradients(model, forward)
        assert forward.works
        if trial == 0:  # without dropout both are the same
            expected, wanted = gradients(plain, plain.coarse)
            torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]


def test_a_tensors_rate_drops_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    layer = MODELS["unet"](19, dropout=0.3).dropout.train()
    layer.rate = torch.tensor(0.3)
    torch.manual_seed(0)
    out = layer(torch.ones(100_000, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert out.max().item() == pytest.approx(1 / 0.7, rel=0.01)
    assert torch.equal(layer.eval()(torch.ones(9)), torch.ones(9))


def test_a_compiler_that_fails_is_said_once_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no such instruction")

    traced(monkeypatch, broken)
    config = small(
        trainer__compile=True, trainer__epochs=2, model__kind="unet", model__width=8, model__depth=1
    )
    results = list(train(config, Run(tmp_path)))
    assert [result.finite for result in results] == [True, True]
    (warning,) = [each.message for each in caplog.records if "compile" in each.message]
    assert warning.startswith("trainer.compile: BackendCompilerFailed ")
    assert "no such instruction" in warning and warning.endswith("; training continues without it")
    assert "\n" not in warning


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        ("", "no C compiler found (g++ or clang++); install one or set CXX"),
        ("/nowhere/c++", "no C compiler found (/nowhere/c++); install one or set CXX"),
    ],
)
def test_without_a_compiler_one_line_says_so(
    compiler: str, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CXX", compiler)
    model = MODELS["unet"](19).train()
    forward = CompiledModel(model, CPU)
    assert not forward.works
    assert [each.message for each in caplog.records] == [
        f"trainer.compile: {reason}; training continues without it"
    ]
    assert forward(torch.rand(2, 3, 32, 32)).shape[:2] == (2, 19)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
def test_the_real_compiler_gives_what_the_plain_model_gives() -> None:
    torch.compiler.reset()
    compiling._compiled.cache_clear()
    torch.manual_seed(0)
    model = MODELS["microsegformer"](19, dropout=0.0, **NARROW).train()
    plain = copy.deepcopy(model)
    forward = CompiledModel(model, CPU)
    logits, found = gradients(model, forward)
    assert forward.works
    expected, wanted = gradients(plain, plain.coarse)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)
