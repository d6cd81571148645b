"""Recorded runs against the median rule, in their order: the command, and series like the hand runs."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import replay
from service import SHARED

from search.recorded_run import RecordedRun

SLOW = "strong augmentation"


def hand_runs(seed: int, noise: float = 0.01) -> list[RecordedRun]:
    """16 runs of 60 to 149 epochs of 200 with the shape of the recorded ones.

    They tend to 0.60 to 0.67, some fall again after epoch 60. One that comes late is half as slow again,
    behind the median until about epoch 35, and ends above all.
    """
    rng = np.random.default_rng(seed)
    runs = []
    late = int(rng.integers(8, 16))
    for number in range(16):
        epoch = np.arange(1.0, rng.integers(60, 150) + 1)
        level, half = rng.uniform(0.60, 0.67), 8.8 * np.exp(rng.normal(0, 0.1))
        if number == late:
            epoch, level, half = np.arange(1.0, 141.0), 0.71, 13.0
        at_full_rate = np.where(epoch <= 5, epoch**2 / 10, epoch - 2.5)
        scores = 0.09 + (level - 0.09) / (1 + (half / at_full_rate) ** 1.45)
        if number % 3 == 0 and number != late:
            scores -= 0.0003 * np.maximum(epoch - 60, 0)
        scores += rng.normal(0, noise, len(epoch))
        name = SLOW if number == late else f"run {number}"
        runs.append(run(name, scores.tolist()))
    return runs


def run(name: str, scores: Sequence[float], scheduler: str = "CosineAnnealingLR") -> RecordedRun:
    leaves = {"training.epochs": 200, "training.warmup_epochs": 5, "training.scheduler": scheduler}
    return RecordedRun(name=name, leaves=leaves, scores=scores)


def test_the_slow_starter_survives_and_a_quarter_is_saved() -> None:
    saved, survived = [], 0
    for seed in range(10):
        replayed = replay.replay(hand_runs(seed))
        saved.append(sum(each.saved for each in replayed) / sum(len(each.run.scores) for each in replayed))
        (slow,) = (each for each in replayed if each.run.name == SLOW)
        survived += slow.decision is None
    assert np.mean(saved) >= 0.25
    assert survived >= 9


def test_a_run_that_is_ended_counts_as_far_as_it_came() -> None:
    rising = [0.6 * (1 - 0.9**epoch) for epoch in range(1, 101)]
    # Behind at epoch 25, where it is ended, and far ahead in the end: which must not count.
    late = [*(0.8 * score for score in rising[:50]), *[0.9] * 50]
    runs = [*(run(f"run {n}", rising) for n in range(4)), run("late", late), run("the same", rising)]
    replayed = replay.replay(runs)
    assert [each.decision is None for each in replayed] == [True] * 4 + [False, True]
    assert replayed[4].epochs == 25
    assert replayed[4].saved == 75


def write(folder: Path, runs: Sequence[RecordedRun]) -> list[str]:
    paths = []
    for number, each in enumerate(runs):
        path = folder / f"{number:02d}"
        path.mkdir()
        training = {leaf.removeprefix("training."): value for leaf, value in each.leaves.items()}
        (path / "config.yaml").write_text(json.dumps({"training": training}))
        (path / "history.json").write_text(json.dumps({"val_f_score": each.scores}))
        paths.append(str(path))
    return paths


def command(*runs: str) -> "subprocess.CompletedProcess[str]":
    call = [sys.executable, str(Path(replay.__file__).parents[1] / "benchmarks" / "replay.py"), *runs]
    return subprocess.run(call, capture_output=True, text=True)


def test_the_replay_prints_a_line_for_each_run(tmp_path: Path) -> None:
    runs = hand_runs(1)
    answer = command(*write(tmp_path, runs))
    assert answer.returncode == 0, answer.stderr
    *rows, _, total, best = answer.stdout.splitlines()
    assert len(rows) == 2 + len(runs)
    assert "below the median" in answer.stdout
    assert total.endswith("%)") and f"of {sum(len(each.scores) for each in runs)} epochs saved" in total
    assert best.endswith("survives")


def test_in_random_orders_only_bad_runs_lose_epochs() -> None:
    """Runs that are all alike lose nothing; of a bad one among good ones the epochs are saved."""
    runs = hand_runs(1, noise=0.0)
    alike = [replace(runs[0], name=str(number)) for number in range(6)]
    said = replay.in_random_orders(alike, 5)
    assert said.startswith("5 orders of 6 runs: 100% of the epochs (100% to 100%), the best ended in 0;")
    worse = replace(runs[0], scores=[0.5 * score for score in runs[0].finite.values()])
    said = replay.in_random_orders([*alike, worse], 5)
    assert "the best ended in 0; the best that was kept is 0.0000 below" in said
    assert ": 100%" not in said


def test_a_wrong_folder_is_one_line(tmp_path: Path) -> None:
    answer = command(str(tmp_path / "nowhere"))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.count("\n") == 1 and "nowhere: no such folder" in answer.stderr


def test_the_recorded_hand_runs_are_replayed() -> None:
    """Two runs end nobody; after three like them, a worse one is ended."""
    folder = SHARED / "data" / "recorded-runs"
    if not folder.is_dir():
        pytest.skip("no recorded runs beside the checkout")
    first, second = map(replay.read_run, sorted(folder.iterdir()))
    assert all(each.decision is None for each in replay.replay([first, second]))
    worse = run("worse", [score - 0.06 for score in second.scores if score is not None])
    replayed = replay.replay([first, second, first, worse])
    assert [each.decision is None for each in replayed] == [True, True, True, False]
