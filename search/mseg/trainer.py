"""Training one config: a generator of validated epochs, under the contract of `search.objective`.

Notable:
- All chance of an epoch (data order, augmentation, dropout) is seeded from the run's seed and the
  epoch's number, and from nothing else. A checkpoint needs no random state, and an epoch comes out the
  same whether training was interrupted before it or not, and whatever the consumer did in between. On a
  CPU that is bit for bit, with the same number of threads; on CUDA some sums are added up in an order
  that changes from run to run, and results differ by rounding.
- Nothing is fetched from the device inside an epoch: losses and counts add up there.

B batch, C classes, S the training size.
"""

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from search.errors import DataError, SpaceError
from search.mseg import checkpoint
from search.mseg.augment import augment
from search.mseg.config import Config
from search.mseg.data import SegmentationData, load
from search.mseg.learner import Learner, build
from search.mseg.metric import Scores
from search.mseg.recording import History, empty_history, recorded, write_config, write_history
from search.objective import EpochResult, Run, trailing_means

VALIDATION_LOGITS = {"cpu": 2**23, "cuda": 2**27}
"""Logits of a validation batch at most: what a CPU's cache is not much too small for, and 512 MB."""


def train(config: Config, run: Run) -> Iterator[EpochResult]:
    """Trains `config`, yielding each epoch once it is validated, saved and written down.

    Diverged training (a loss or a weight that is not finite) yields one result with a NaN score, leaves
    no checkpoint of that epoch, and ends.

    Raises:
        DataError: the data cannot be read, or do not fill a batch.
        SpaceError: `run.dir` holds a checkpoint of another config or seed.
    """
    device = torch.device(run.device)
    try:
        yield from _epochs(config, run, device)
    finally:
        if device.type == "cuda":  # the frame above is gone by now, and its tensors with it
            torch.cuda.empty_cache()


def _epochs(config: Config, run: Run, device: torch.device) -> Iterator[EpochResult]:
    _prepare(device)
    data = load(config.data, run.data, run.device)
    if len(data.train.names) < config.trainer.batch_size:
        raise DataError(
            f"trainer.batch_size: {config.trainer.batch_size} is more than the {len(data.train.names)} "
            f"training images of {data.source}; make it smaller"
        )
    torch.manual_seed(_seeds(run.seed, 0)[0])
    learner = build(config, len(data.classes), device)
    run.dir.mkdir(parents=True, exist_ok=True)
    write_config(run.dir, recorded(config, run, data, learner.precision))

    history = _resume(learner, run)
    if history["lr"]:
        write_history(run.dir, history)
        yield _result(learner, history, resumed=True)

    for epoch in range(len(history["lr"]) + 1, config.trainer.epochs + 1):
        if _exhausted(history["val_f_score"], run.smooth, config.trainer.patience):
            return
        row = _epoch(learner, data, epoch, run)
        if row is None:
            return
        for column, values in history.items():
            values.append(row[column])
        if math.isfinite(row["val_f_score"]):
            _save(learner, data, history, run)
        write_history(run.dir, history)
        yield _result(learner, history)
        if not math.isfinite(row["val_f_score"]):
            return


def _epoch(learner: Learner, data: SegmentationData, epoch: int, run: Run) -> dict[str, Any] | None:
    """Trains and validates one epoch: its row of the history, or None where it was told to stop."""
    started = time.perf_counter()
    rate = learner.set_epoch(epoch)
    trained = _train(learner, data, epoch, run)
    if trained is None:
        return None
    train_loss, train_scores = trained
    val_loss, val_scores = _validate(learner, data)

    losses = torch.stack([train_loss, val_loss, learner.weights_norm()]).tolist()
    train_result, val_result = train_scores.result(), val_scores.result()
    diverged = not all(map(math.isfinite, losses))
    seconds = time.perf_counter() - started
    return {
        "train_loss": losses[0],
        "train_f_score": train_result["val_fscore"],
        "train_accuracy": train_result["accuracy"],
        "val_loss": losses[1],
        "val_f_score": math.nan if diverged else val_result["val_fscore"],
        "val_accuracy": val_result["accuracy"],
        "lr": rate,
        "val_fscore_batch32": val_result["fscore_batch32"],
        "val_f_per_class": val_result["per_class"],
        "epoch_seconds": seconds,
        "images_per_second": len(data.train.names) / seconds,
    }


def _train(learner: Learner, data: SegmentationData, epoch: int, run: Run) -> tuple[Tensor, Scores] | None:
    """One pass over the training images in a new order; the incomplete last batch is dropped."""
    order_seed, augment_seed, dropout_seed = _seeds(run.seed, epoch)
    torch.manual_seed(dropout_seed)
    order = torch.randperm(len(data.train.names), generator=torch.Generator().manual_seed(order_seed))
    chance = torch.Generator().manual_seed(augment_seed)
    size = learner.config.trainer.batch_size
    batches = order.to(data.train.images.device).split(size)[: len(order) // size]

    learner.model.train()
    total = torch.zeros((), device=learner.device)
    scores = Scores(len(data.classes))
    for batch in batches:
        if run.should_stop():
            return None
        images, masks = augment(
            _as_float(data.train.images[batch], learner.device),
            data.train.masks[batch].to(learner.device, non_blocking=True),
            learner.config.augment,
            data.mirror_pairs,
            chance,
        )
        loss, prediction = learner.step(images, masks)
        total += loss
        scores.add(prediction, masks)
    return total / len(batches), scores


@torch.inference_mode()
def _validate(learner: Learner, data: SegmentationData) -> tuple[Tensor, Scores]:
    """Loss and scores of all validation images, the logits upsampled to the size of the targets."""
    model = learner.evaluated.eval()
    height, width = data.val_targets.shape[1:]
    # The loss is a curve to look at: about as many pixels as in training are enough for it.
    stride = max(1, height // data.val.images.shape[2])
    at_once = VALIDATION_LOGITS.get(learner.device.type, 2**27) // (len(data.classes) * height * width)
    total = torch.zeros((), device=learner.device)
    scores = Scores(len(data.classes))
    for images, targets in zip(
        data.val.images.split(max(1, at_once)), data.val_targets.split(max(1, at_once)), strict=True
    ):
        targets = targets.to(learner.device, non_blocking=True)
        logits = learner.logits(model, _as_float(images, learner.device), size=(height, width))
        thinned = logits[..., ::stride, ::stride], targets[..., ::stride, ::stride]
        total += learner.criterion(*thinned) * len(images)
        scores.add(logits.argmax(1), targets)
    return total / len(data.val.names), scores


def _as_float(images: Tensor, device: torch.device) -> Tensor:
    """uint8 images as float32 in [0, 1] on `device`."""
    return images.to(device, non_blocking=True).float().div_(255)


def _save(learner: Learner, data: SegmentationData, history: History, run: Run) -> None:
    """Weights first: killed before the checkpoint, the epoch is trained again and writes them again."""
    epoch, score = len(history["lr"]), history["val_f_score"][-1]
    if score >= max(history["val_f_score"]):
        about = {
            "epoch": epoch,
            "score": score,
            "model": learner.config.model.model_dump(),
            "classes": list(data.classes),
            "image_size": learner.config.data.image_size,
        }
        checkpoint.save_weights(run.dir, learner.evaluated.state_dict(), about)
    state = {"params": learner.config.to_params(), "seed": run.seed, "history": history}
    checkpoint.save(run.dir, {**state, **learner.state()})


def _resume(learner: Learner, run: Run) -> History:
    """Puts `learner` where the checkpoint in `run.dir` left off: the history up to there."""
    state = checkpoint.load(run.dir)
    if state is None:
        return empty_history()
    now = learner.config.to_params() | {"seed": run.seed}
    before = state["params"] | {"seed": state["seed"]}
    for name in now:
        if before.get(name) != now[name]:
            raise SpaceError(
                f"{run.dir}: its checkpoint is of {name} {before.get(name)}, not {now[name]}; "
                f"remove the folder or train in another",
                parameter=name,
            )
    learner.restore(state)
    return state["history"]


def _result(learner: Learner, history: History, *, resumed: bool = False) -> EpochResult:
    last = {column: values[-1] for column, values in history.items()}
    score, rate, _ = last.pop("val_f_score"), last.pop("lr"), last.pop("val_f_per_class")
    return EpochResult(
        epoch=len(history["lr"]),
        epochs=learner.config.trainer.epochs,
        score=score,
        lr=rate,
        metrics=last,
        applied=learner.applied(),
        resumed=resumed,
    )


def _exhausted(scores: list[float], smooth: int, patience: int | None) -> bool:
    """Whether `patience` epochs have passed without a better mean of `smooth` scores."""
    means = trailing_means(scores, smooth)[smooth - 1 :]
    if patience is None or not means:
        return False
    return len(means) - 1 - means.index(max(means)) >= patience


def _seeds(seed: int, epoch: int) -> list[int]:
    """Three independent seeds of an epoch; epoch 0 is the initialisation."""
    return np.random.SeedSequence([seed, epoch]).generate_state(3).tolist()


def _prepare(device: torch.device) -> None:
    """What PyTorch may do for speed on a GPU: TF32 in place of float32, and the fastest convolutions."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
