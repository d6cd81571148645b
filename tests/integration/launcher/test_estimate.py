"""`search check --plan`: what is measured, what follows from it, and what a search then really takes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from service import Answer, Search
from snapshots import RECORD, pictured

from search import formatting
from search.launcher.estimate import (
    BudgetEstimate,
    ExpectedSaving,
    FasterSetting,
    TrainingCost,
    expected_saving,
    measure,
    measure_faster,
)
from search.objective import EpochResult, Run, Vocabulary
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.spec.spec import load_spec
from search.worker.worker import Worker

Command = Callable[..., Answer]

MEASURED = TrainingCost(
    config="by hand",
    epochs=100,
    epoch_seconds=30.0,
    trial_seconds=60.0,
    worker_seconds=20.0,
    checkpoint_bytes=10_000_000,
    record_bytes=1000,
)
EPOCH, TRIAL, WORKER = 8.0, 16.0, 30.0  # seconds


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the toy one of so many epochs that takes its time, by the plan's clock: once for the process,
    for each training, for each epoch."""
    clock = [0.0]
    warm: list[bool] = []
    monkeypatch.setattr("search.launcher.estimate.time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def use(epochs: int) -> None:
        def train(config: Any, run: Run) -> Iterator[EpochResult]:
            clock[0] += TRIAL if warm else TRIAL + WORKER
            warm.append(True)
            for epoch in range(1, epochs + 1):
                clock[0] += EPOCH
                (run.dir / "last.pt").write_bytes(b"x" * 5000)
                (run.dir / "history.json").write_bytes(b"x" * 70 * epoch)
                yield EpochResult(epoch=epoch, epochs=epochs, score=0.5)

        monkeypatch.setattr("toy.train", train)

    return use


def test_a_short_training_gives_the_costs_of_a_trial(search: Search, paced: Callable[[int], None]) -> None:
    paced(4)
    found = measure(load_spec(search.folder / "space.yaml"), None, "cpu")
    assert found == TrainingCost(
        config="by hand",
        epochs=4,
        epoch_seconds=EPOCH,
        trial_seconds=TRIAL,
        worker_seconds=WORKER,
        checkpoint_bytes=5000,
        record_bytes=140,
    )


def test_one_epoch_is_enough_to_be_measured(search: Search, paced: Callable[[int], None]) -> None:
    paced(1)
    found = measure(load_spec(search.folder / "space.yaml"), None, "cpu")
    assert (found.epochs, found.worker_seconds) == (1, WORKER)
    assert found.trial() == EPOCH + TRIAL


@pytest.mark.parametrize(("before", "pays_after"), [(EPOCH + 2, 22), (EPOCH, None)])
def test_what_may_be_faster_is_measured_where_it_is_not_on(
    before: float,
    pays_after: int | None,
    search: Search,
    paced: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faster = Vocabulary(faster={"data.version": 2})
    monkeypatch.setattr("search.launcher.estimate.vocabulary_of", lambda name: faster)
    paced(4)
    file = search.folder / "space.yaml"
    measured = replace(MEASURED, epoch_seconds=before, trial_seconds=2.0)
    (found,) = measure_faster(load_spec(file), None, "cpu", measured)
    start = TRIAL + WORKER - 2.0
    assert found == FasterSetting("data.version", 2, EPOCH, start, pays_after)
    assert measure_faster(load_spec(file, overrides=["data.version=2"]), None, "cpu", measured) == []


def test_hours_disk_and_end_follow_from_the_costs() -> None:
    plan = BudgetEstimate(MEASURED, ExpectedSaving(0.4, "somewhere"), trials=60, known=2)
    assert plan.gpu_hours_at_most == pytest.approx(60 * (60 + 100 * 30) / 3600)
    assert plan.gpu_hours == pytest.approx(60 * (60 + 60 * 30) / 3600)
    assert plan.seconds(1) == pytest.approx(20 + plan.gpu_hours * 3600)
    assert plan.seconds(4) == pytest.approx(20 + plan.gpu_hours * 3600 / 4)
    assert plan.seconds(60) == plan.seconds(600) == 20 + 3060, "no sooner than a trial to its last epoch"
    assert plan.disk_bytes(4) == 60 * 1000 + (5 + 2 + 4) * 10_000_000
    assert plan.disk_bytes(1000) == 60 * 10_001_000
    assert plan.draws == 58 and plan.chance == pytest.approx(1 - 0.95**58)
    assert (
        BudgetEstimate(MEASURED, ExpectedSaving(0.0, ""), trials=5, known=0).seconds(2) == 20 + 3 * 3060
    ), "5 = 3 + 2"
    assert BudgetEstimate(MEASURED, ExpectedSaving(0.0, ""), trials=1, known=2).chance == 0


def test_where_the_saving_is_from(search: Search) -> None:
    spec = load_spec(search.folder / "space.yaml", overrides=["study.pruner={kind: median}"])
    ended = [replace(RECORD, number=n, epochs=100 if n % 2 else 20, horizon=100) for n in range(10)]
    failed = replace(RECORD, number=10, state="failed", epochs=1, horizon=100)
    saving = expected_saving(spec, pictured(finished=[*ended, failed]))
    assert saving.share == pytest.approx(0.4) and "10 trials of study" in saving.source
    for study in (None, pictured(finished=[*ended[1:], failed])):
        saving = expected_saving(spec, study)
        assert 0.3 < saving.share < 0.6 and "benchmarks/simulated_studies.py" in saving.source
    for pruner, source in (("none", "nothing is pruned"), ("hyperband", "nothing is known")):
        spec = load_spec(search.folder / "space.yaml", overrides=[f"study.pruner={{kind: {pruner}}}"])
        saving = expected_saving(spec, None)
        assert saving.share == 0 and source in saving.source


def test_a_search_takes_what_its_plan_says(search: Search, command: Command) -> None:
    """By the toy, whose epochs last what they are told to last."""
    pace = ("--set", "seconds=0.25", "--set", "epochs=4")
    answer = command("check", "--plan", "--trials", "3", "--workers", "1", "--json", *pace)
    assert answer.err.count("\n") == 1 and "three epochs" in answer.err
    told = answer.json["plan"]
    assert (told["trials"], told["epochs"], told["config"]) == (3, 4, "by hand")
    assert 0.25 <= told["seconds"]["epoch"] < 1.0
    assert told["gpu_hours"]["at_most"] == told["gpu_hours"]["expected"], "the toy is not pruned"
    assert [end["workers"] for end in told["ends"]] == [1]
    assert told["best_5_percent"] == {"draws": 2, "chance": pytest.approx(1 - 0.95**2)}
    assert {path.name for path in search.folder.iterdir()} <= {"space.yaml", "epochs.log"}, "no study"
    command("start", "--workers", "0", "--trials", "3", "--gpu-hours", "1", *pace)
    assert (
        Worker(search.create(*pace[1::2]), search.runs.parent, None, [Device("cpu", "cpu")]).run(
            Interrupt()
        )
        == 0
    )
    used = command("status", "--json").json["budget"]["gpu_hours_used"]
    assert 0.4 < used / told["gpu_hours"]["at_most"] < 3, "a busy machine takes longer to store a trial"
    again = command("check", "--plan", "--study", "toy", *pace).out
    assert "3 trials: " in again and "4 workers with one such device each" in again


def test_an_objective_that_does_not_train_is_said(
    search: Search, command: Command, paced: Callable[[int], None]
) -> None:
    line = command("check", "--plan", "--set", "trouble=bug", code=1).err.splitlines()[-1]
    assert "--plan: training fails with ZeroDivisionError: the objective has a bug" in line
    paced(0)
    assert "trained no epoch" in command("check", "--plan", code=1).err
    for flags in (("--trials", "4"), ("--workers", "2")):
        answer = command("check", *flags, code=2)
        assert answer.err.count("\n") == 1 and "belong to --plan" in answer.err


def test_sizes_and_seconds_are_written_for_people() -> None:
    sizes = [0, 999, 1000, 12_345, 27_400_000, 999_499_999, 999_500_000, 3_210_000_000]
    written = ["0 B", "999 B", "1.0 kB", "12 kB", "27 MB", "999 MB", "1.0 GB", "3.2 GB"]
    assert [formatting.size(count) for count in sizes] == written
    assert [formatting.seconds(each) for each in (0.0423, 3.21, 59.9, 80)] == [
        "0.042 s",
        "3.2 s",
        "60 s",
        "1m 20s",
    ]


def test_each_stage_of_a_search_has_its_own_cost(search: Search, command: Command) -> None:
    stages = "[{trials: 20, epochs: 2}, {keep: 4, controls: 0.2, epochs: 3}, {keep: 2, seeds: 3}]"
    told = command("check", "--plan", "--json", "--set", f"study.stages={stages}").json["plan"]
    assert (told["trials"], told["epochs"]) == (20, 2)
    # One known config: 4 kept, it, a fifth of the 15 that are left; then 2 and the baseline, 3 seeds each.
    assert [(each["trials"], each["epochs"]) for each in told["stages"]] == [(8, 3), (9, 4)]
    shown = command("check", "--plan", "--set", f"study.stages={stages}").out
    assert "stage 2" in shown and "9 trainings of 4 epochs" in shown
