"""The learning rate by epoch: the recorded figures, the warm-up, each schedule's shape."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from search.errors import SpaceError
from search.mseg.schedulers import SCHEDULES, ScheduleConfig, build


def curve(epochs: int, base: float = 1.0, **settings: Any) -> np.ndarray:
    schedule = build(ScheduleConfig.of(**settings), epochs, base)
    return np.array([schedule.rate(epoch) for epoch in range(1, epochs + 1)])


@pytest.mark.parametrize(
    ("first", "last", "mean"),
    [(6, 30, 7.89e-4), (31, 90, 6.41e-4), (91, 120, 3.81e-4), (121, 143, 2.18e-4), (113, 113, 3.33e-4)],
)
def test_rates_equal_those_the_hand_run_recorded(first: int, last: int, mean: float) -> None:
    rates = curve(200, 8e-4, kind="cosine", warmup_epochs=5)
    assert rates[first - 1 : last].mean() == pytest.approx(mean, rel=0.02)


@pytest.mark.parametrize("kind", ["cosine", "warm_restarts", "polynomial", "constant"])
def test_warmup_epoch_e_of_w_trains_at_its_share_of_the_base(kind: str) -> None:
    rates = curve(50, 8e-4, kind=kind, warmup_epochs=5)
    np.testing.assert_allclose(rates[:5], [1.6e-4, 3.2e-4, 4.8e-4, 6.4e-4, 8e-4])
    assert rates[5] == pytest.approx(8e-4, rel=0.02)


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 1, 19])
def test_every_epoch_has_a_positive_rate_up_to_the_base(kind: str, warmup: int) -> None:
    rates = curve(20, 3e-3, kind=kind, warmup_epochs=warmup, restart_epochs=7)
    assert (rates > 0).all()
    assert rates.max() <= 3e-3 * (1 + 1e-12)


def test_cosine_halves_in_the_middle_and_ends_near_zero() -> None:
    rates = curve(101, kind="cosine", warmup_epochs=0)
    assert rates[50] == pytest.approx(0.5)
    assert 0 < rates[-1] < 1e-3
    assert (np.diff(rates) < 0).all()


def test_warm_restarts_begin_again_after_each_cycle() -> None:
    rates = curve(75, kind="warm_restarts", warmup_epochs=5, restart_epochs=10, restart_factor=2)
    restarts = 1 + 1 + np.flatnonzero(np.diff(rates[5:]) > 0) + 5  # epochs, counted from 1
    assert restarts.tolist() == [16, 36]
    np.testing.assert_allclose(rates[5:15], curve(10, kind="cosine", warmup_epochs=0))
    np.testing.assert_allclose(rates[15:35], curve(20, kind="cosine", warmup_epochs=0))


def test_a_restart_longer_than_the_run_is_no_restart() -> None:
    rates = curve(20, kind="warm_restarts", warmup_epochs=0, restart_epochs=1000)
    assert (np.diff(rates) < 0).all()


def test_polynomial_with_power_one_is_a_line() -> None:
    rates = curve(10, kind="polynomial", warmup_epochs=0, power=1.0)
    np.testing.assert_allclose(rates, (10 - np.arange(10) - 0.5) / 10)


def test_one_cycle_is_pytorchs_between_its_epochs() -> None:
    epochs = 40
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # 100 steps to an epoch; the reference counts total_steps - 1 intervals.
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=epochs * 100 + 1)
    rates = []
    for _ in range(epochs * 100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    np.testing.assert_allclose(curve(epochs, kind="one_cycle", warmup_epochs=0), rates[50::100], atol=2e-3)


def test_one_cycle_warms_up_to_where_it_starts() -> None:
    rates = curve(200, kind="one_cycle", warmup_epochs=4)
    np.testing.assert_allclose(rates[:4], [0.01, 0.02, 0.03, 0.04])
    peak = int(rates.argmax())
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()


def test_an_unknown_kind_is_said_with_the_nearest() -> None:
    with pytest.raises(SpaceError, match=r"^schedule\.kind: 'cosin' is not one of .*mean 'cosine'\?\)$"):
        ScheduleConfig.of(kind="cosin")


@pytest.mark.parametrize(
    "build",
    [
        lambda: ScheduleConfig.of(warmup_epochs=-1),
        lambda: ScheduleConfig.of(restart_epochs=0),
        lambda: ScheduleConfig.of(restart_factor=0),
        lambda: ScheduleConfig.of(power=0.0),
    ],
)
def test_values_out_of_range_are_refused(build: Callable[[], ScheduleConfig]) -> None:
    with pytest.raises(ValidationError):
        build()


def applied(config: ScheduleConfig) -> dict[str, Any]:
    schedule = build(config, 20, 1e-3)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule.set(optimizer, 7)
    return schedule.applied(optimizer, 7)


def test_applied_names_the_function_that_runs_and_its_options() -> None:
    for kind in SCHEDULES:
        assert applied(ScheduleConfig.of(kind=kind))["schedule.kind"] == kind
    assert applied(ScheduleConfig.of(kind="warm_restarts", restart_epochs=7)) == {
        "optimizer.learning_rate": 1e-3,
        "schedule.kind": "warm_restarts",
        "schedule.warmup_epochs": 5,
        "schedule.restart_epochs": 7,
        "schedule.restart_factor": 1,
    }


def test_applied_reads_the_rate_from_the_optimizer() -> None:
    schedule = build(ScheduleConfig.of(kind="polynomial", power=2.0, warmup_epochs=0), 10, 1e-3)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule.set(optimizer, 4)
    optimizer.param_groups[0]["lr"] *= 3
    assert schedule.applied(optimizer, 4)["optimizer.learning_rate"] == pytest.approx(3e-3)


def test_a_schedule_that_ends_at_zero_is_read_back() -> None:
    schedule = build(ScheduleConfig.of(kind="polynomial", power=1e4, warmup_epochs=0), 10, 1e-3)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule.set(optimizer, 10)
    assert optimizer.param_groups[0]["lr"] == 0
    assert schedule.applied(optimizer, 10)["optimizer.learning_rate"] == 1e-3


def test_groups_with_different_rates_are_refused() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (0.1, 0.2)]
    schedule = build(ScheduleConfig.of(), 10, 1e-3)
    with pytest.raises(RuntimeError, match="several learning rates"):
        schedule.applied(torch.optim.SGD(groups), 1)
