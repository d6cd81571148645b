"""`search train`: the same training without a study, with fresh seeds or all data."""

import json
import math
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from refusals import Command, refused
from scipy import stats
from service import Search
from trainings import SMALL, best, history, last

from search.mseg import configure, train
from search.mseg.data.sources import load
from search.objective import Run
from search.training.request import request_of_file
from search.training.result import TrainedSeeds
from search.training.run import SeedTraining

SETTINGS = {**SMALL, "trainer.epochs": 3, "optimizer.learning_rate": 2e-3, "model.dropout": 0.07}


def written(folder: Path, **changes: object) -> Path:
    path = folder / "settings.yaml"
    settings = SETTINGS | {name.replace("__", "."): value for name, value in changes.items()}
    path.write_text(json.dumps(settings))  # JSON is YAML
    return path


def faces_study(search: Search) -> None:
    """faces.yaml: a search of the stock objective on drawn faces, one short trial."""
    space: dict[str, dict[str, object]] = {}
    for name, value in (SETTINGS | {"model.dropout": {"low": 0.0, "high": 0.1}}).items():
        section, _, leaf = name.partition(".")
        space.setdefault(section, {})[leaf] = value
    study = {"trials": 1, "smooth": 1, "sampler": {"kind": "random", "seed": 3}, "pruner": {"kind": "none"}}
    document = {"objective": "search.mseg", "study": study, "space": space}
    (search.folder / "faces.yaml").write_text(json.dumps(document))


@pytest.fixture
def trained(search: Search, command: Command) -> Search:
    """A toy study of three trials whose best is the known config."""
    search.create()
    command("worker")
    return search


# -- a file ----------------------------------------------------------------------------------------


def test_a_training_is_the_one_that_the_objective_gives(
    command: Command, search: Search, tmp_path: Path
) -> None:
    path = written(search.folder)
    answer = command("train", "--config", str(path), "--out", "out", "--json")
    list(train(configure(SETTINGS), Run(tmp_path / "plain", seed=0)))
    folder = search.folder / "out" / "seed-0"
    assert history(folder) == history(tmp_path / "plain")
    for name, tensor in best(tmp_path / "plain")[0].items():
        assert torch.equal(tensor, best(folder)[0][name])
    (one,) = answer.json["seeds"]
    scores = history(folder)["val_f_score"]
    assert one["score"] == pytest.approx(fmean(scores))
    assert (one["end"], one["epochs"], one["best_score"]) == ("complete", 3, max(scores))
    assert answer.json["mean"] is None
    # What it recorded trains the same once more, the seed included.
    config = str(folder / "config.yaml")
    again = command("train", "--config", config, "--out", "again", "--epochs", "3", "--json")
    assert history(search.folder / "again" / "seed-0") == history(folder)
    assert "data.num_train" in again.err and "dropout" not in again.err
    assert again.json["params"]["model.dropout"] == 0.07


@pytest.mark.parametrize("kind", ["cosine", "warm_restarts", "polynomial"])
def test_every_setting_of_a_recorded_config_is_read_back(tmp_path: Path, kind: str) -> None:
    config = configure(
        SMALL
        | {
            "trainer.epochs": 1,
            "schedule.warmup_epochs": 0,
            "schedule.kind": kind,
            "augment.flip": 0.25,
            "loss.dice_weight": 0.75,
            "trainer.patience": None,
            "trainer.grad_clip": 0.5,
            "optimizer.weight_decay": 3e-3,
            "data.train_limit": 10,
        }
    )
    list(train(config, Run(tmp_path / "run", seed=11)))
    request = request_of_file(tmp_path / "run" / "config.yaml")
    assert configure(request.params) == config
    assert request.seed == 11


def test_a_hand_runs_config_is_mapped_and_what_has_no_name_is_said(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "data: {batch_size: 16, num_workers: 4, root: data, val_split: 0.1}\n"
        "gpu_augmentation: {horizontal_flip_prob: 0.25, rotation_degrees: 10}\n"
        "model: {dropout: 0.2, name: microsegformer, use_lmsa: false}\n"
        "training: {learning_rate: 8e-4, optimizer: AdamW, scheduler: CosineAnnealingLR, epochs: 120}\n"
    )
    request = request_of_file(path)
    config = configure(request.params)
    assert (config.trainer.batch_size, config.trainer.epochs) == (16, 120)
    assert (config.schedule.kind, config.optimizer.kind) == ("cosine", "adamw")
    assert (config.model.options["lmsa"], config.model.options["dropout"]) == (False, 0.2)
    assert config.optimizer.learning_rate == 8e-4
    assert request.params["augment.flip"] == 0.25
    assert request.left_out.endswith("data.num_workers, data.root, data.val_split")


# -- seeds -----------------------------------------------------------------------------------------


def test_fresh_seeds_are_averaged_with_a_t_interval(command: Command, trained: Search) -> None:
    answer = command("train", "--trial", "0", "--seeds", "3", "--out", "out", "--json")
    seeds = answer.json["seeds"]
    assert [each["seed"] for each in seeds] == [0, 1, 2], "the study's own seed, 7, is not among them"
    scores = [each["score"] for each in seeds]
    assert answer.json["mean"]["value"] == pytest.approx(fmean(scores))
    text = command("train", "--trial", "0", "--seeds", "3", "--out", "out").out
    assert "about other seeds with the same data" in text


def test_the_interval_is_students(tmp_path: Path) -> None:
    request = request_of_file(written(tmp_path))
    scores = [0.61, 0.63, 0.58, 0.66]
    trainings = [
        SeedTraining(seed, tmp_path, "complete", 1, {1: score}) for seed, score in enumerate(scores)
    ]
    result = TrainedSeeds(request=request, out=tmp_path, trainings=trainings)
    assert result.mean is not None
    low, high = stats.t.interval(0.95, 3, np.mean(scores), stats.sem(scores))
    assert (result.mean.low, result.mean.high) == pytest.approx((low, high))
    diverged = SeedTraining(9, tmp_path, "diverged", 2, {1: 0.6, 2: math.nan})
    result = TrainedSeeds(request=request, out=tmp_path, trainings=[trainings[0], diverged])
    assert (result.ended, result.mean) == (False, None)
    json.dumps(result.to_json(), allow_nan=False)


# -- a trial ---------------------------------------------------------------------------------------


def test_a_trial_is_trained_again_with_its_own_seed(command: Command, trained: Search) -> None:
    answer = command("train", "--trial", "1", "--out", "out", "--json")
    record = trained.records()[1]
    (one,) = answer.json["seeds"]
    assert (one["seed"], one["epochs"]) == (record.seed, record.epochs)
    assert one["score"] == pytest.approx(record.value)
    assert answer.json["source"] == "trial 1 of study toy"
    assert command("train", "--out", "best", "--json").json["source"] == "trial 0 (by hand) of study toy"


def test_called_again_it_goes_on_and_tells_the_same(command: Command, trained: Search) -> None:
    before = command("train", "--trial", "1", "--seeds", "2", "--out", "out", "--json").json
    epochs = trained.folder / "epochs.log"
    trained_before = epochs.read_text()
    assert command("train", "--trial", "1", "--seeds", "2", "--out", "out", "--json").json == before
    assert epochs.read_text() == trained_before, "what has ended is not trained again"
    more = command("train", "--trial", "1", "--seeds", "3", "--out", "out", "--json").json
    assert more["seeds"][:2] == before["seeds"] and len(more["seeds"]) == 3


def test_a_signal_leaves_a_checkpoint_from_which_it_goes_on(command: Command, search: Search) -> None:
    search.create("seconds=0.3", "epochs=6", trials=1)
    command("worker")
    whole = search.records()[0]
    process = search.spawn("train", "--trial", "0", "--out", "out", "--json")
    kept = search.folder / "out" / f"seed-{whole.seed}.json"
    search.wait(lambda: kept.exists() and len(json.loads(kept.read_text())["scores"]) >= 2)
    process.terminate()
    search.ends(process, 143)
    stopped = json.loads(kept.read_text())
    assert stopped["end"] == "interrupted" and 2 <= len(stopped["scores"]) < 6
    answer = command("train", "--trial", "0", "--out", "out", "--json")
    (one,) = answer.json["seeds"]
    assert (one["end"], one["epochs"]) == ("complete", 6)
    assert one["score"] == pytest.approx(whole.value), "all epochs count, those before the signal too"


# -- all data --------------------------------------------------------------------------------------


def test_on_all_data_it_sees_every_pair_and_keeps_the_last_epoch(command: Command, search: Search) -> None:
    path = written(search.folder, trainer__epochs=9, trainer__patience=1)
    answer = command(
        "train", "--config", str(path), "--all-data", "--epochs", "4", "--out", "all", "--json"
    )
    folder = search.folder / "all" / "seed-0"
    columns = history(folder)
    assert len(columns["lr"]) == 4, "nothing stops early by scores of images it was trained on"
    tensors, about = best(folder)
    assert about["epoch"] == 4
    for name, tensor in last(folder)["model"].items():
        assert torch.equal(tensor, tensors[name])
    config = request_of_file(folder / "config.yaml")
    text = (folder / "config.yaml").read_text()
    assert "num_train: 18" in text and "all_data: true" in text
    assert config.params["trainer.epochs"] == 4
    (one,) = answer.json["seeds"]
    assert (one["score"], one["best_epoch"]) == (columns["val_f_score"][-1], None)
    assert "no estimate of new images" in answer.json["score"]


def test_all_pairs_are_those_of_both_parts_and_each_once() -> None:
    data = load(configure(SMALL).data, None)
    joined = data.train.joined(data.val)
    assert joined.names == data.train.names + data.val.names
    assert len(set(joined.names)) == 18 == len(joined.images) == len(joined.masks)
    assert torch.equal(joined.images[-1], data.val.images[-1])
    assert torch.equal(joined.masks[-1], data.val.masks[-1])


def test_on_all_data_a_trial_trains_until_its_best_epoch_under_its_schedule(
    command: Command, search: Search
) -> None:
    faces_study(search)
    command("start", "--study", "faces", "--space", "faces.yaml", "--workers", "0")
    command("worker", "--study", "faces")
    answer = command("train", "--study", "faces", "--all-data", "--out", "all", "--json")
    (trial,) = command("trials", "--study", "faces", "--json").json
    columns = history(search.folder / "all" / "seed-3")
    rates = history(search.folder / "runs" / "faces" / "trial-0000")["lr"]
    assert columns["lr"] == rates[: trial["best_epoch"]]
    assert answer.json["until_epoch"] == trial["best_epoch"]
    assert "one run with one seed" in answer.json["rests_on"]


# -- wrong input -----------------------------------------------------------------------------------


def test_wrong_input_is_one_line_and_writes_nothing(command: Command, trained: Search) -> None:
    folder = trained.folder
    full = folder / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    settings = str(written(folder))
    (folder / "typo.yaml").write_text("optimizer.learning_rat: 1e-3\n")
    (folder / "range.yaml").write_text("model: {dropout: 2.0}\n")
    for arguments, said in {
        ("--config", settings, "--trial", "1"): "name two configs",
        ("--config", settings, "--all-data"): "give --epochs",
        ("--config", "absent.yaml"): "no such file",
        ("--config", "space.yaml"): "document of a search",
        ("--config", "typo.yaml"): "did you mean 'optimizer.learning_rate'",
        ("--config", "range.yaml"): "range.yaml: model.dropout: 2.0",
        ("--trial", "99"): "99 is not a trial",
        ("--study", "absent"): "no study 'absent'",
    }.items():
        assert said in refused(command, folder, "train", "--out", "new", *arguments)
    assert "holds something else" in refused(
        command, folder, "train", "--config", settings, "--out", str(full)
    )
    command("train", "--trial", "1", "--out", "out", "--json")
    line = refused(command, folder, "train", "--trial", "2", "--out", "out")
    assert line.startswith("--out: out has a training with ")


def test_an_objective_that_cannot_train_on_all_data_says_so(command: Command, search: Search) -> None:
    document = search.folder / "space.yaml"
    document.write_text(document.read_text().replace("objective: toy", "objective: tested"))
    search.create(trials=1)
    command("worker")
    line = refused(command, search.folder, "train", "--all-data", "--out", "out")
    assert line.startswith("--all-data: objective 'tested' cannot")
    line = refused(command, search.folder, "train", "--epochs", "9", "--out", "out")
    assert line.startswith("--epochs: objective 'tested' does not name")


def test_a_bug_of_the_objective_is_one_line(command: Command, search: Search) -> None:
    search.create("trouble=bug", trials=1)
    command("worker", code=None)
    answer = command("train", "--trial", "0", "--out", "out", code=1)
    assert answer.err.splitlines()[-1].startswith("training fails with ZeroDivisionError")
