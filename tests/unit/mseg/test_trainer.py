"""The trainer under its contract: resume, stopping, divergence, what it writes. On drawn faces, small."""

import gc
import json
import math
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from trainings import SMALL, TIMINGS, assert_same, assert_same_run, best, history, last, small

from search.errors import DataError, SpaceError
from search.mseg import configure, schedulers, train, trainer
from search.mseg.data.labels import IGNORED
from search.mseg.data.sources import load
from search.mseg.learner import Learner, build
from search.mseg.metrics import Scores
from search.mseg.optimizers import MovingAverage
from search.mseg.schedulers import LearningRate
from search.objective import EpochResult, Run
from search.recorded_run import flat, read_run

EVERYTHING = {"augment.mixup": 0.5, "augment.cutmix": 0.5, "trainer.ema": 0.9, "model.dropout": 0.2}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Threads of small tensors wait for each other, and their number can change the last bit."""
    torch.set_num_threads(1)


def saved_epoch(folder: Path) -> int:
    return len(last(folder)["history"]["lr"]) + 1


def test_every_epoch_is_saved_before_it_is_told(tmp_path: Path) -> None:
    config = small()
    folder = tmp_path / "trial"
    seen = []
    for result in train(config, Run(folder)):
        seen.append(result.epoch)
        assert saved_epoch(folder) == result.epoch
        assert len(history(folder)["lr"]) == result.epoch
        assert (result.epochs, result.resumed) == (4, False)
        assert 0 <= result.score <= 1
        assert result.lr == schedulers.build(config.schedule, 4, 2e-3).rate(result.epoch)
        assert {"train_loss", "train_f_score", "val_loss", "val_fscore_batch32"} <= set(result.metrics)
        assert all(isinstance(value, float) for value in result.metrics.values())
        assert len(result.images) > 1
        assert sum(result.images.values()) / len(result.images) == pytest.approx(result.score)
    assert seen == [1, 2, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["trial"]
    assert {path.name for path in folder.iterdir()} == {
        "last.pt",
        "best.safetensors",
        "config.yaml",
        "history.json",
        "faces.npz",
        "overlay.png",
    }


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    config = configure(SMALL | EVERYTHING)
    straight, broken = Run(tmp_path / "straight", seed=3), Run(tmp_path / "broken", seed=3)
    whole = list(train(config, straight))

    first = train(config, broken)
    before = [next(first), next(first)]
    first.close()
    torch.rand(7)  # the consumer's own use of the generator changes nothing
    after = list(train(config, broken))

    assert [result.epoch for result in after] == [2, 3, 4]
    assert [result.resumed for result in after] == [True, False, False]
    assert (after[0].score, after[0].lr, after[0].applied) == (
        before[1].score,
        before[1].lr,
        before[1].applied,
    )
    assert [r.score for r in before + after[1:]] == [r.score for r in whole]
    assert_same_run(straight.dir, broken.dir)


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    one, other = (
        next(train(small(), Run(tmp_path / str(seed), seed=seed))).metrics["train_loss"] for seed in (0, 1)
    )
    assert one != other


def test_data_order_and_the_incomplete_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small()
    known = {image.tobytes(): i for i, image in enumerate(load(config.data, None).train.images.numpy())}
    batches: list[list[int]] = []

    def spy(images: torch.Tensor, masks: torch.Tensor, *_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        whole = (images * 255).round().byte().numpy()
        batches.append([known[image.tobytes()] for image in whole])
        return images, masks

    monkeypatch.setattr(trainer, "augment", spy)
    list(train(config, Run(tmp_path)))
    assert [len(batch) for batch in batches] == [5] * 8
    epochs = [batches[i] + batches[i + 1] for i in range(0, 8, 2)]
    for order in epochs:
        assert len(set(order)) == 10  # no image twice
    assert len({tuple(order) for order in epochs}) == 4
    assert {i for order in epochs for i in order} == set(range(12))  # all have their turn


def test_closing_ends_the_training_and_frees_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []

    def spy(*arguments: Any) -> Learner:
        learner = build(*arguments)
        models.append(weakref.ref(learner.model))
        return learner

    monkeypatch.setattr(trainer, "build", spy)
    results = train(small(), Run(tmp_path))
    assert [next(results).epoch, next(results).epoch] == [1, 2]
    (model,) = models
    assert model() is not None
    results.close()
    gc.collect()
    assert model() is None
    assert list(results) == []
    assert saved_epoch(tmp_path) == 2


def test_an_error_that_is_kept_keeps_no_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its traceback has the frames, and they had the batch and the model: 20 GB on a GPU."""
    kept = []

    def fail(learner: Learner, images: torch.Tensor, masks: torch.Tensor) -> None:
        kept.extend([weakref.ref(learner.model), weakref.ref(images)])
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Learner, "step", fail)
    with pytest.raises(RuntimeError, match="out of memory") as told:
        list(train(small(), Run(tmp_path)))
    gc.collect()
    assert [each() for each in kept] == [None, None]
    assert told.traceback[-1].name == "fail", "the place of the error is still told"


def test_should_stop_is_asked_each_batch_and_ends_the_epoch(tmp_path: Path) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 4  # the second batch of epoch 2

    assert [result.epoch for result in train(small(), Run(tmp_path, should_stop=stop))] == [1]
    assert asked == 4
    assert saved_epoch(tmp_path) == 1
    assert [result.epoch for result in train(small(), Run(tmp_path))] == [1, 2, 3, 4]


def test_a_finished_run_is_told_once_more_and_ends(tmp_path: Path) -> None:
    *_, final = train(small(trainer__epochs=2), Run(tmp_path))
    (again,) = train(small(trainer__epochs=2), Run(tmp_path))
    assert (again.epoch, again.resumed, again.score) == (2, True, final.score)


def test_divergence_is_told_once_and_leaves_no_checkpoint(tmp_path: Path) -> None:
    (result,) = train(small(optimizer__learning_rate=1e30), Run(tmp_path))
    assert math.isnan(result.score)
    assert not result.finite
    assert not (tmp_path / "last.pt").exists()
    assert history(tmp_path)["val_f_score"] == [None]


def test_divergence_keeps_the_epochs_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LearningRate, "rate", lambda _, epoch: 1e-3 if epoch < 3 else math.inf)
    results = list(train(small(), Run(tmp_path)))
    assert [result.finite for result in results] == [True, True, False]
    assert saved_epoch(tmp_path) == 2
    assert history(tmp_path)["val_f_score"] == [results[0].score, results[1].score, None]
    assert [r.finite for r in train(small(), Run(tmp_path))] == [True, False]  # it comes out the same


def test_a_wild_learning_rate_does_not_crash(tmp_path: Path) -> None:
    results = list(train(small(optimizer__learning_rate=1e3), Run(tmp_path)))
    assert 1 <= len(results) <= 4
    assert all(result.finite for result in results[:-1])


@pytest.mark.parametrize(
    ("scores", "smooth", "patience", "over"),
    [
        ([0.1, 0.2, 0.3], 1, 1, False),
        ([0.1, 0.3, 0.2], 1, 1, True),
        ([0.1, 0.3, 0.2], 1, 2, False),
        ([0.3, 0.3, 0.3], 1, 2, True),  # no better is no better
        ([0.3, 0.1, 0.1], 1, None, False),
        ([], 5, 1, False),
        ([0.9, 0.1, 0.1, 0.1], 5, 1, False),  # no full window yet: one lucky epoch sets no bar
        ([0.9, 0.1, 0.1, 0.1, 0.1], 5, 1, False),
        ([0.9, 0.1, 0.1, 0.1, 0.1, 0.1], 5, 1, True),
        ([0.1, 0.5, 0.1, 0.2, 0.2, 0.3], 3, 1, True),  # means .233 .267 .167 .233
        ([0.1, 0.5, 0.1, 0.2, 0.2, 0.6], 3, 1, False),
    ],
)
def test_patience_counts_epochs_since_the_best_smoothed_score(
    scores: list[float], smooth: int, patience: int | None, over: bool
) -> None:
    assert trainer._exhausted(scores, smooth, patience) is over


def test_a_run_out_of_patience_ends_and_stays_ended(tmp_path: Path) -> None:
    config = small(
        optimizer__learning_rate=1e-30, trainer__patience=1, trainer__epochs=9, model__lmsa=False
    )
    run = Run(tmp_path, smooth=2)
    assert [result.epoch for result in train(config, run)] == [1, 2, 3]
    assert [result.epoch for result in train(config, run)] == [3]


def test_a_damaged_checkpoint_is_said_and_training_starts_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list(train(small(trainer__epochs=2), Run(tmp_path)))
    path = tmp_path / "last.pt"
    path.write_bytes(path.read_bytes()[:100_000])
    results = list(train(small(trainer__epochs=2), Run(tmp_path)))
    assert [(result.epoch, result.resumed) for result in results] == [(1, False), (2, False)]
    (warning,) = [record for record in caplog.records if record.name.startswith("search")]
    assert "last.pt is damaged" in warning.message


@pytest.mark.parametrize(
    ("changes", "seed", "place"),
    [({"model__dropout": 0.3}, 0, "model.dropout 0.15, not 0.3"), ({}, 1, "seed 0, not 1")],
)
def test_a_folder_of_another_run_is_refused(
    tmp_path: Path, changes: dict[str, Any], seed: int, place: str
) -> None:
    next(train(small(), Run(tmp_path)))
    with pytest.raises(SpaceError, match=f"^{tmp_path}: its checkpoint is of {place}; remove the folder"):
        next(train(small(**changes), Run(tmp_path, seed=seed)))


def test_a_batch_larger_than_the_training_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^trainer\.batch_size: 13 is more than the 12 training images"):
        next(train(small(trainer__batch_size=13), Run(tmp_path / "trial")))
    assert not (tmp_path / "trial").exists()


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    scores: list[float] = []
    kept: dict[int, dict[str, torch.Tensor]] = {}
    for result in train(small(), Run(tmp_path)):
        scores.append(result.score)
        kept[result.epoch] = last(tmp_path)["model"]
        weights, about = best(tmp_path)
        assert scores[about["epoch"] - 1] == max(scores)
        assert len(about["classes"]) == 19
        assert about["model"] == small().model.model_dump()
        assert_same(weights, dict(kept[about["epoch"]]))


def test_averaged_weights_are_validated_and_kept(tmp_path: Path) -> None:
    result = next(train(small(trainer__ema=0.9), Run(tmp_path)))
    state = last(tmp_path)
    weights, _ = best(tmp_path)
    assert_same(weights, dict(state["average"]["model"]))
    assert not torch.equal(weights["head.weight"], state["model"]["head.weight"])
    assert state["average"]["steps"] == 2

    data = load(small().data, None)
    learner = build(small(), data, torch.device("cpu"))
    learner.model.load_state_dict(weights)
    learner.model.eval()
    scores = Scores(19)
    with torch.inference_mode():
        scores.add(learner.model(data.val.images.float() / 255).argmax(1), data.val_targets)
    assert result.score == pytest.approx(scores.result()["val_fscore"], abs=1e-3)


def test_the_average_is_exponential() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 0.0)
    average = MovingAverage(model, decay=0.5)
    expected = 0.0
    draw = np.random.default_rng(0)
    for step in range(1, 40):
        value = float(draw.normal())
        torch.nn.init.constant_(model.weight, value)
        average.update(model)
        decay = min(0.5, step / (step + 10))
        expected = decay * expected + (1 - decay) * value
        assert average.model.weight.item() == pytest.approx(expected, abs=1e-6)


ALL_TERMS = {
    "loss.lovasz_weight": 0.5,
    "loss.boundary_weight": 0.5,
    "loss.label_smoothing": 0.1,
    "loss.focal_gamma": 1.0,
    "loss.class_weights": "median_frequency",
}


@pytest.mark.parametrize("loss", [{}, ALL_TERMS], ids=["fused", "all terms"])
@pytest.mark.parametrize("at_once", [1, 2, 3, 5])
def test_a_step_in_parts_is_the_step(
    at_once: int, loss: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss, gradients and predictions of a batch, however many of its images are scored at a time."""
    config = configure(SMALL | loss | {"trainer.grad_clip": None, "model.dropout": 0.0})
    data = replace(load(config.data, None), ignored=bool(loss))
    torch.manual_seed(0)
    learner = build(config, data, torch.device("cpu"))
    assert learner.criterion.fused != bool(loss)
    images, masks = torch.rand(5, 3, 32, 32), torch.randint(19, (5, 32, 32), dtype=torch.uint8)
    if data.ignored:
        masks[0, :20], masks[1] = IGNORED, IGNORED
    learner.model.train()
    logits = learner.model(images)
    expected = learner.criterion(logits, masks)
    expected.backward()
    gradients = {name: weight.grad for name, weight in learner.model.named_parameters()}

    monkeypatch.setattr("search.mseg.learner.LOGITS", {"cpu": at_once * 19 * 32 * 32})
    monkeypatch.setattr(learner.optimizer, "step", lambda: None)
    learner.model.zero_grad()
    value, prediction = learner.step(images, masks)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert torch.equal(prediction, logits.argmax(1))
    for name, weight in learner.model.named_parameters():
        torch.testing.assert_close(weight.grad, gradients[name], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("eval_size", ["train", 64, 48])
def test_the_score_does_not_depend_on_the_validation_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eval_size: Any
) -> None:
    results: list[EpochResult] = []
    for images in (1, 4, 100):
        side = 32 if eval_size == "train" else eval_size
        monkeypatch.setattr("search.mseg.learner.LOGITS", {"cpu": images * 19 * side * side})
        results.append(next(train(small(data__eval_size=eval_size), Run(tmp_path / str(images)))))
    for result in results[1:]:
        assert result.score == results[0].score
        for name in ("val_fscore_batch32", "val_accuracy"):
            assert result.metrics[name] == results[0].metrics[name]
        assert result.metrics["val_loss"] == pytest.approx(results[0].metrics["val_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("source", "count", "size", "steps"),
    [("drawn", 4, 64, 200), pytest.param("folder", 8, 96, 160, marks=pytest.mark.nightly)],
)
def test_a_few_images_are_learned_by_heart(
    source: str, count: int, size: int, steps: int, request: pytest.FixtureRequest
) -> None:
    root = request.getfixturevalue("real_data") if source == "folder" else None
    limits = (
        {"data.train_limit": count} if root else {"data.drawn_images": count + 1, "data.val_share": 0.2}
    )
    config = configure(
        limits
        | {
            "data.source": source,
            "data.image_size": size,
            "data.eval_size": "train",
            "model.dropout": 0.0,
            "optimizer.learning_rate": 4e-3,
            "optimizer.weight_decay": 0.0,
            "trainer.epochs": steps,
        }
    )
    data = load(config.data, root)
    images, masks = data.train.images.float() / 255, data.train.masks
    assert len(images) == count
    torch.manual_seed(0)
    learner = build(config, data, torch.device("cpu"))
    for epoch in range(1, steps + 1):  # one step each
        learner.set_epoch(epoch)
        learner.model.train()
        learner.step(images, masks)
        if epoch % 10 == 0:
            scores = Scores(len(data.classes))
            with torch.inference_mode():
                scores.add(learner.model.eval()(images).argmax(1), masks)
            if scores.result()["val_fscore"] > 0.9:
                return
    pytest.fail(f"F reached {scores.result()['val_fscore']:.3f} only")


def test_what_is_written_has_the_layout_of_the_recorded_runs(tmp_path: Path) -> None:
    list(train(small(trainer__epochs=3, schedule__kind="warm_restarts"), Run(tmp_path, seed=5)))
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    training = config["training"]
    assert (training["optimizer"], training["scheduler"]) == ("AdamW", "CosineAnnealingWarmRestarts")
    assert (training["learning_rate"], training["weight_decay"], training["warmup_epochs"]) == (
        2e-3,
        1e-4,
        1,
    )
    assert (training["epochs"], training["early_stopping_patience"], training["max_grad_norm"]) == (
        3,
        20,
        1.0,
    )
    assert (training["restart_epochs"], training["use_amp"]) == (30, False)
    assert "power" not in training  # changes nothing here
    model = config["model"]
    assert (model["name"], model["num_classes"], model["use_lmsa"]) == ("microsegformer", 19, True)
    assert (model["dropout"], model["width_1"], model["blocks_4"]) == (0.15, 16, 1)
    assert (config["loss"]["ce_weight"], config["loss"]["dice_weight"]) == (1.0, 1.5)
    assert (config["data"]["batch_size"], config["data"]["image_size"]) == (5, 32)
    assert config["gpu_augmentation"]["horizontal_flip_prob"] == 0.5
    provenance = config["provenance"]
    assert (provenance["seed"], provenance["device"], provenance["dtype"]) == (5, "cpu", "float32")
    assert provenance["torch"] == torch.__version__
    assert provenance["data"]

    columns = json.loads((tmp_path / "history.json").read_text())
    recorded = {"train_loss", "train_f_score", "train_accuracy", "val_loss", "val_f_score", "val_accuracy"}
    ours = {"val_fscore_batch32", "val_fscore_pooled", "val_miou", "train_miou", "val_f_per_class"}
    assert recorded | {"lr"} | ours | set(TIMINGS) == set(columns)
    assert {len(column) for column in columns.values()} == {3}
    assert {len(row) for row in columns["val_f_per_class"]} == {19}

    run = read_run(tmp_path)  # the reader of the hand runs reads it
    assert run.scores == columns["val_f_score"] and run.columns == columns
    labels = flat(config).keys() - run.leaves.keys()
    assert labels == {"experiment.name", "experiment.description"}
    assert run.leaves == {leaf: value for leaf, value in flat(config).items() if leaf not in labels}


def test_every_recorded_leaf_has_its_place(tmp_path: Path, real_data: Path) -> None:
    """What the hand runs recorded, ours record under the same names."""
    next(train(small(), Run(tmp_path)))
    ours = yaml.safe_load((tmp_path / "config.yaml").read_text())
    runs = sorted((real_data.parent / "recorded-runs").glob("*/config.yaml"))
    assert runs
    theirs = yaml.safe_load(runs[-1].read_text())
    missing = {
        f"{section}.{leaf}"
        for section, leaves in theirs.items()
        if isinstance(leaves, dict)
        for leaf in leaves
        if leaf not in ours.get(section, {})
    }
    assert missing == {"data.val_split"}


def test_bfloat16_keeps_float32_weights(tmp_path: Path) -> None:
    result = next(train(small(trainer__precision="bfloat16"), Run(tmp_path)))
    assert result.finite
    assert last(tmp_path)["model"]["head.weight"].dtype == torch.float32
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert (config["provenance"]["dtype"], config["training"]["use_amp"]) == ("bfloat16", True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_nothing_waits_for_the_gpu_inside_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Learner.step

    def watched(self: Learner, images: torch.Tensor, masks: torch.Tensor) -> Any:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(self, images, masks)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Learner, "step", watched)
    assert all(result.finite for result in train(small(), Run(tmp_path, device="cuda")))
