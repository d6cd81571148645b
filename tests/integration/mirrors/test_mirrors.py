"""A study in the trackers, read by the trackers' own readers."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from service import Answer, Search

from search.objective import Vocabulary
from search.records import Record
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.worker.worker import Worker

Command = Callable[..., Answer]


def needs(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"{package} is not installed")


@pytest.fixture
def half(search: Search) -> Search:
    """A study of three trials: one complete, one given back after its second epoch, one to come."""
    study = search.create("epochs=4", trials=3)
    worker = Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")])
    worker.interrupt, worker.device = Interrupt(), Device("cpu", "cpu")
    with worker.heartbeat:
        worker._prepare()
        lease = worker._claim()
        assert lease is not None
        worker.train(lease)
        second = worker.leases.claim()
        assert not isinstance(second, str)
        for epoch in (1, 2):
            assert worker.leases.report(second, epoch, 4, epoch / 10)
    worker.leases.leave()
    return search


def end(search: Search) -> list[Record]:
    """Another worker takes the second trial over and trains the rest."""
    study = search.study()
    assert study is not None
    study = search.create()
    assert Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")]).run(Interrupt()) == 0
    records = search.records()
    assert [record.state for record in records] == ["complete"] * 3 and records[1].attempts == 2
    return records


def curves(records: list[Record]) -> dict[str, dict[int, Any]]:
    return {
        f"trial-{record.number:04d}": {
            epoch: pytest.approx(score, rel=1e-6) for epoch, score in enumerate(record.curve, 1)
        }
        for record in records
    }


def new_epochs(command: Command, *flags: str) -> int:
    said = command("mirror", *flags).err.splitlines()  # trackers say things of their own before
    return int(said[-1].removesuffix(" new epochs"))


@needs("tensorboard")
def test_tensorboard_shows_each_epoch_once_however_often_it_is_written(
    half: Search, command: Command
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def shown() -> dict[str, list[tuple[int, float]]]:
        found = {}
        for folder in sorted(Path("board/toy").iterdir()):
            events = EventAccumulator(str(folder))
            events.Reload()
            found[folder.name] = [(event.step, event.value) for event in events.Scalars("score")]
        return found

    assert new_epochs(command, "--tensorboard", "board") == 4 + 2
    first = {path: path.read_bytes() for path in Path("board").rglob("events*")}
    assert new_epochs(command, "--tensorboard", "board") == 0
    records = end(half)
    assert new_epochs(command, "--tensorboard", "board", "--follow") == 2 + 4, "a finished search ends it"
    found = shown()
    assert {name: dict(points) for name, points in found.items()} == curves(records)
    assert all(len(points) == 4 for points in found.values()), "no epoch is there twice"
    assert all(path.read_bytes() == before for path, before in first.items())
    files = len(list(Path("board").rglob("events*")))
    assert new_epochs(command, "--tensorboard", "board") == 0
    assert len(list(Path("board").rglob("events*"))) == files, "nothing is new"


@needs("tensorboard")
def test_tensorboard_has_params_results_and_the_end_and_mends_a_torn_file(
    half: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    records = end(half)
    folder = half.folder / "runs" / "toy" / "trial-0000"
    (folder / "config.yaml").write_text("data: {classes: [background, face]}\n")
    losses, faces = [0.9, None, 0.5, 0.4], [[0.9, 0.1 * epoch] for epoch in range(4)]
    history = {"val_f_score": [0.1] * 4, "train_loss": losses, "val_f_per_class": faces}
    (folder / "history.json").write_text(json.dumps(history))
    vocabulary = Vocabulary(class_score_column="val_f_per_class")
    monkeypatch.setattr("search.spec.spec.vocabulary_of", lambda *_: vocabulary)
    new_epochs(command, "--tensorboard", "board")
    run = Path("board/toy/trial-0000")
    (file,) = run.iterdir()
    events = EventAccumulator(str(run))
    events.Reload()
    assert events.Scalars("value")[0].value == pytest.approx(records[0].value)
    said = events.Tensors("end")[0].tensor_proto.string_val[0].decode()
    assert "known: by hand" in said and "state: complete" in said and "log.txt: file:///" in said
    hparams = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"kind" in hparams and b"plain" in hparams
    # Killed while it wrote: the last record is cut off.
    file.write_bytes(file.read_bytes()[:-7])
    shutil.rmtree("board/toy/trial-0001")
    assert new_epochs(command, "--tensorboard", "board") == 4
    again = EventAccumulator(str(run))
    again.Reload()
    assert [event.step for event in again.Scalars("score")] == [1, 2, 3, 4]
    shown = [(event.step, event.value) for event in again.Scalars("train_loss")]
    assert shown == [(1, pytest.approx(0.9)), (3, pytest.approx(0.5)), (4, pytest.approx(0.4))]
    by_class = [event.value for event in again.Scalars("val_f_per_class/face")]
    assert by_class == pytest.approx([0.0, 0.1, 0.2, 0.3]) and "val_f_score" not in again.Tags()["scalars"]
    assert again.Tensors("end")


@needs("mlflow")
@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_mlflow_shows_each_epoch_once_and_how_trials_ended(half: Search, command: Command) -> None:
    from mlflow.tracking import MlflowClient

    where = f"sqlite:///{half.folder}/mlflow.db"
    assert new_epochs(command, "--mlflow", where) == 4 + 2
    assert new_epochs(command, "--mlflow", where) == 0
    client = MlflowClient(tracking_uri=where)
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    statuses = [run.info.status for run in client.search_runs([experiment.experiment_id])]
    assert sorted(statuses) == ["FINISHED", "RUNNING"]
    records = end(half)
    assert new_epochs(command, "--mlflow", where) == 2 + 4
    assert new_epochs(command, "--mlflow", where) == 0
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    found = {}
    for name, run in runs.items():
        history = client.get_metric_history(run.info.run_id, "score")
        assert len(history) == 4
        found[name] = {metric.step: metric.value for metric in history}
    assert found == curves(records)
    first = runs["trial-0000"].data
    assert first.params["kind"] == "plain" and first.tags["known"] == "by hand"
    assert first.metrics["value"] == pytest.approx(records[0].value)


@needs("wandb")
@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")  # wandb's own
def test_wandb_has_an_offline_run_of_each_trial_that_ended(half: Search, command: Command) -> None:
    assert new_epochs(command, "--wandb", "offline") == 4, "the second trial has not ended"
    (whole,) = Path("offline/wandb").glob("offline-run-*/mirrored")
    whole.unlink()
    assert new_epochs(command, "--wandb", "offline") == 4, "what a killed mirror left is written again"
    end(half)
    assert new_epochs(command, "--wandb", "offline") == 8 and new_epochs(command, "--wandb", "offline") == 0
    # The file's records are protocol buffers, for which the package has no reader any more.
    files = {
        name: file.read_bytes()
        for file in Path("offline/wandb").glob("offline-run-*/run-*.wandb")
        for name in ("trial-0000", "trial-0001", "trial-0002")
        if name.encode() in file.read_bytes()
    }
    assert len(files) == 3 and all(content.count(b"_step") >= 4 for content in files.values())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "no tracker; give --tensorboard DIR"),
        (["--tensorboard", " "], "--tensorboard: is empty"),
        (["--mlflow", "http://me:hunter2@host"], "MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_wrong_flags_are_one_line(search: Search, command: Command, flags: list[str], said: str) -> None:
    if "--mlflow" in flags and importlib.util.find_spec("mlflow") is None:
        pytest.skip("mlflow is not installed")
    search.create()
    (line,) = command("mirror", *flags, code=2).err.splitlines()
    assert said in line and "hunter2" not in line


def test_a_tracker_that_is_not_installed_is_named_with_its_extra(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    search.create()
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert "pip install 'mseg-search[wandb]'" in command("mirror", "--wandb", "x", code=2).err
