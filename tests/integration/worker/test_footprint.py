"""What a model's size and speed become: attributes of its trial, shown beside the score."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from optuna.trial import Trial
from optuna_dashboard import get_note
from service import STUDY, Search

from search.objective import EpochResult, Run
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.open import open_study
from search.worker.worker import Worker


def train(config: Any, run: Run) -> Iterator[EpochResult]:
    """Trial 1 diverges at once, trial 2 says nothing about its model."""
    number = int(run.dir.name.removeprefix("trial-"))
    told = {} if number == 2 else {"parameters": 1000 * (number + 1), "forward_ms": 1.25 * (number + 1)}
    for epoch in (1, 2):
        score = math.nan if number == 1 else 0.5 + 0.1 * number
        yield EpochResult(epoch=epoch, epochs=2, score=score, **told)


def test_size_and_speed_of_every_trial_are_shown(
    search: Search, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toy.train", train)
    study = search.create(trials=4)
    assert Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    told = [(1000, 1.25), (2000, 2.5), (None, None), (4000, 5.0)]
    assert [(r.parameters, r.forward_ms) for r in search.records()] == told
    trials = command("trials", "--json").json
    assert [(trial["parameters"], trial["forward_ms"]) for trial in trials] == told
    best = command("best", "--json").json
    assert (best["number"], best["parameters"], best["forward_ms"]) == (3, 4000, 5.0)
    assert "4,000 parameters, 5 ms for one example" in command("best").out
    assert "1,000 parameters, 1.2 ms for one example" in command("trials", "0").out
    table = command("trials").out
    assert "parameters" in table and "4,000" in table
    reopened = open_study(search.url, STUDY)
    frozen = reopened.optuna.get_trials()[3]
    note = get_note(Trial(reopened.optuna, frozen._trial_id))
    assert "Its model: 4,000 parameters, 5 ms for one example." in note
    reopened.engine.dispose()
