"""What the trainer reports as applied is read from the objects that its steps used: tampering shows."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import SMALL

from search.mseg import configure, train, trainer
from search.mseg.config import Config
from search.mseg.data.dataset import SegmentationData
from search.mseg.learner import Learner, build
from search.mseg.losses.terms import TERMS
from search.mseg.models.layers import Dropout
from search.mseg.models.registry import ModelConfig
from search.mseg.schedulers import LearningRate, cosine
from search.objective import EpochResult, Run
from search.worker.outcome import check_applied

SAMPLED = {
    "optimizer.learning_rate": 1.5e-3,
    "optimizer.weight_decay": 3e-4,
    "model.dropout": 0.25,
    "model.lmsa": False,
    "loss.ce_weight": 0.5,
    "loss.dice_weight": 0.75,
    "loss.lovasz_weight": 0.25,
    "loss.boundary_weight": 0.0,
    "loss.label_smoothing": 0.1,
    "loss.focal_gamma": 2.0,
    "loss.class_weights": "sqrt_median_frequency",
    "schedule.kind": "warm_restarts",
    "schedule.warmup_epochs": 2,
    "schedule.restart_epochs": 7,
    "schedule.restart_factor": 2,
}

Tamper = Callable[[Learner], Learner]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def first_epoch(folder: Path, monkeypatch: pytest.MonkeyPatch, tamper: Tamper) -> EpochResult:
    """One epoch of the sampled config, trained by a learner that was tampered with."""

    def tampered(config: Config, data: SegmentationData, device: torch.device) -> Learner:
        return tamper(build(config, data, device))

    monkeypatch.setattr(trainer, "build", tampered)
    epochs = train(configure(SMALL | SAMPLED), Run(folder))
    result = next(epochs)
    epochs.close()
    return result


def test_an_honest_training_reports_what_was_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = first_epoch(tmp_path, monkeypatch, lambda learner: learner)
    defaults = {f"model.{name}": value for name, value in ModelConfig.of().options.items()}
    sizes = defaults | {name: value for name, value in SMALL.items() if name.startswith("model.")}
    assert result.applied == sizes | SAMPLED
    check_applied(SAMPLED, result.applied)


def weight_decay(learner: Learner) -> Learner:
    learner.optimizer.param_groups[0]["weight_decay"] = 0.5
    return learner


def dropout(learner: Learner) -> Learner:
    for module in learner.model.modules():
        if isinstance(module, Dropout):
            module.p *= 0.5
    return learner


def weight(term: str) -> Tamper:
    def tamper(learner: Learner) -> Learner:
        learner.criterion.weights[term] = 0.7
        learner.criterion.terms.setdefault(term, partial(TERMS[term]))
        return learner

    return tamper


def option(term: str, **changes: Any) -> Tamper:
    def tamper(learner: Learner) -> Learner:
        learner.criterion.terms[term] = partial(learner.criterion.terms[term], **changes)
        return learner

    return tamper


def learning_rate(learner: Learner) -> Learner:
    """The rate is halved behind the schedule's back, before the first step of the epoch."""
    learner.optimizer.register_step_pre_hook(halve)
    return learner


def halve(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    optimizer.param_groups[0]["lr"] = 0.5 * 0.75e-3


def schedule(**changes: Any) -> Tamper:
    return lambda learner: replace(learner, rate=replace(learner.rate, **changes))


def options(**changes: Any) -> Tamper:
    def tamper(learner: Learner) -> Learner:
        rate: LearningRate = learner.rate
        return replace(learner, rate=replace(rate, schedule=partial(rate.schedule, **changes)))

    return tamper


@pytest.mark.parametrize(
    ("name", "tamper"),
    [
        ("optimizer.weight_decay", weight_decay),
        ("model.dropout", dropout),
        ("loss.ce_weight", weight("ce")),
        ("loss.dice_weight", weight("dice")),
        ("loss.lovasz_weight", weight("lovasz")),
        ("loss.boundary_weight", weight("boundary")),
        ("loss.label_smoothing", option("ce", label_smoothing=0.2)),
        ("loss.focal_gamma", option("ce", focal_gamma=0.0)),
        ("loss.class_weights", option("ce", class_weights="none")),
        ("optimizer.learning_rate", learning_rate),
        ("optimizer.learning_rate", schedule(peak=2e-3)),
        ("schedule.kind", schedule(schedule=partial(cosine))),
        ("schedule.warmup_epochs", schedule(warmup=1)),
        ("schedule.restart_epochs", options(restart_epochs=8)),
        ("schedule.restart_factor", options(restart_factor=1)),
    ],
)
def test_the_worker_fails_a_trial_whose_live_object_holds_another_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, tamper: Tamper
) -> None:
    result = first_epoch(tmp_path, monkeypatch, tamper)
    with pytest.raises(RuntimeError, match=f"^{name}: .* was sampled, but the trainer uses"):
        check_applied(SAMPLED, result.applied)


def test_a_stage_with_a_dropout_of_its_own_ends_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tamper(learner: Learner) -> Learner:
        next(each for each in learner.model.modules() if isinstance(each, Dropout)).p = 0.01
        return learner

    with pytest.raises(RuntimeError, match="dropout by stage"):
        first_epoch(tmp_path, monkeypatch, tamper)


@pytest.mark.parametrize("kind", ["sgd", "muon"])
@pytest.mark.parametrize("option", ["momentum", "weight_decay"])
def test_an_option_of_any_optimiser_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, option: str
) -> None:
    sampled = {"optimizer.kind": kind, f"optimizer.{option}": 0.25}
    for name, value in sampled.items():
        monkeypatch.setitem(SAMPLED, name, value)

    def tamper(learner: Learner) -> Learner:
        for group in learner.optimizer.param_groups:
            if option in group:
                group[option] = 0.5
        return learner

    result = first_epoch(tmp_path, monkeypatch, tamper)
    with pytest.raises(RuntimeError, match=rf"^optimizer\.{option}: .* was sampled, but the trainer uses"):
        check_applied(sampled, result.applied)
