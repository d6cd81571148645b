"""A model's size and the time for one image, as a training tells them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from trainings import small

from search.mseg import latency, train
from search.mseg.latency import PASSES, forward_ms
from search.mseg.models.model import trainable
from search.objective import Run


def test_every_epoch_tells_parameters_and_milliseconds_also_after_a_resume(tmp_path: Path) -> None:
    config = small(trainer__epochs=2)
    first = list(train(config, Run(tmp_path)))
    again = list(train(config, Run(tmp_path)))
    assert [result.resumed for result in (*first, *again)] == [False, False, True]
    assert {result.parameters for result in (*first, *again)} == {104_859}
    assert all(result.forward_ms and 0 < result.forward_ms < 60_000 for result in (*first, *again))
    assert first[0].forward_ms == first[1].forward_ms, "it is measured once"


class Clock:
    """Time that passes only in forward passes: 5 s in the first, then each of `passes` in turn."""

    def __init__(self, passes: list[float]) -> None:
        self.now, self.sizes = 0.0, []
        self._passes = iter([5.0, *passes])

    def perf_counter(self) -> float:
        return self.now

    def coarse(self, model: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
        assert not model.training
        self.now += next(self._passes)
        self.sizes.append(tuple(image.shape))
        return image


@pytest.mark.parametrize(
    ("passes", "milliseconds", "count"),
    [([0.25, 9.0], 250.0, 2), ([9.0, 0.25], 9000.0, 2)],
)
def test_a_slow_model_is_timed_once_after_its_first_pass(
    passes: list[float], milliseconds: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(passes)
    monkeypatch.setattr(latency, "time", clock)
    assert forward_ms(learner(clock), 48, 64) == pytest.approx(milliseconds)
    assert clock.sizes == [(1, 3, 48, 64)] * count


def test_a_fast_model_has_the_median_of_several_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "SECONDS", 10.0)
    clock = Clock([0.001, 0.003, 0.002] * 10)
    monkeypatch.setattr(latency, "time", clock)
    assert forward_ms(learner(clock), 32, 32) == pytest.approx(2.0)
    assert len(clock.sizes) == PASSES + 1


def learner(clock: Clock) -> Any:
    model = torch.nn.Dropout().train()
    return SimpleNamespace(evaluated=model, device=torch.device("cpu"), coarse=clock.coarse)


def test_frozen_parameters_do_not_count() -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    layers[0].requires_grad_(False)
    assert trainable(layers) == 4
