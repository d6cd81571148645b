"""Training one config: a generator of validated epochs, under the contract of `search.objective`.

Notable:
- All random numbers of an epoch (data order, augmentation, dropout) are seeded from the run's seed and the
  epoch's number alone. So a checkpoint needs no random state, and an epoch's result does not depend on
  whether training was interrupted before it, nor on what the consumer did in between. On a CPU results are
  equal to the bit with the same number of threads; on CUDA the order of some sums changes from run to run,
  and results differ by rounding.
- Nothing is copied from the device within an epoch: losses and counts are summed up on it.
- A thread writes the checkpoint of an epoch while it is validated. The checkpoint lacks the scores, so
  resuming from it validates the epoch again, with the same result.

B batch, C classes, S the training size.
"""

import logging
import math
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from search.errors import DataError
from search.mseg import checkpoint, overlay
from search.mseg.augment import augment
from search.mseg.config import Config
from search.mseg.data.batches import as_float, batches
from search.mseg.data.dataset import SegmentationData
from search.mseg.data.sources import load
from search.mseg.inference import forward
from search.mseg.latency import forward_ms
from search.mseg.learner import Learner, build
from search.mseg.metrics import Scores, fscores, ious
from search.mseg.models.model import trainable
from search.mseg.naming import SCORES
from search.mseg.recording import History, Row, recorded, write_config, write_history
from search.mseg.resuming import resume, saver
from search.mseg.schedulers import used_rate
from search.objective import PICTURE, EpochResult, Run
from search.scoring import trailing_means

log = logging.getLogger(__name__)


def train(config: Config, run: Run) -> Iterator[EpochResult]:
    """Train `config`, yielding each epoch once it is validated, saved and recorded.

    Diverged training (a loss or a weight that is not finite) yields one result with a NaN score and ends;
    the checkpoint remains that of the epoch before.

    Raises:
        DataError: the data cannot be read, or do not fill a batch.
        SpaceError: `run.dir` holds a checkpoint of another config or seed.
    """
    device = torch.device(run.device)
    try:
        yield from _epochs(config, run, device)
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # whoever keeps the error would keep all tensors
        raise
    finally:
        if device.type == "cuda":  # the frames above are gone by now, and their tensors with them
            torch.cuda.empty_cache()


def _epochs(config: Config, run: Run, device: torch.device) -> Iterator[EpochResult]:
    _prepare(device)
    data = load(config.data, run.data, run.device)
    if run.all_data:
        data = replace(data, train=data.train.joined(data.val))
    if len(data.train.names) < config.trainer.batch_size:
        raise DataError(
            f"trainer.batch_size: {config.trainer.batch_size} is more than the {len(data.train.names)} "
            f"training images of {data.source}; make it smaller"
        )
    torch.manual_seed(_seeds(run.seed, 0)[0])
    learner = build(config, data, device)
    run.dir.mkdir(parents=True, exist_ok=True)
    write_config(run.dir, recorded(config, run, data, learner.precision))

    history, trained = resume(learner, run)
    resumed, milliseconds = trained is not None, None
    try:
        while resumed or not _over(history, config, run):
            if not resumed:
                trained = _train(learner, data, len(history["lr"]) + 1, run)
            if trained is None:
                return
            result = _finish(learner, data, history, trained, run)
            milliseconds = milliseconds or forward_ms(learner, *data.train.images.shape[2:])
            parameters = trainable(learner.model)
            yield replace(result, resumed=resumed, parameters=parameters, forward_ms=milliseconds)
            resumed = False
    except GeneratorExit:  # pruned: the consumer needs no more epochs
        _draw(learner, data, run)
        raise
    _draw(learner, data, run)


def _draw(learner: Learner, data: SegmentationData, run: Run) -> None:
    """Draw the overlay, unless the run was told to stop."""
    if run.should_stop():
        return
    try:
        overlay.write(run.dir, learner, data)
    except Exception:  # a picture is not worth losing a trial
        log.warning("%s could not be drawn", PICTURE, exc_info=True)


def _score_column(run: Run) -> str:
    return SCORES[run.score or "val_fscore"]["score_column"]


def _over(history: History, config: Config, run: Run) -> bool:
    """Whether training is over: all epochs are done, patience is exhausted, or training diverged."""
    scores = history[_score_column(run)]
    if len(scores) == config.trainer.epochs or (scores and not math.isfinite(scores[-1])):
        return True
    return not run.all_data and _exhausted(scores, run.smooth, config.trainer.patience)


def _train(learner: Learner, data: SegmentationData, epoch: int, run: Run) -> Row | None:
    """Train one epoch: its columns of the history, or None if the run was told to stop."""
    started = time.perf_counter()
    learner.set_epoch(epoch)
    done = _pass(learner, data, epoch, run)
    if done is None:
        return None
    total, scores = done
    loss, norm = torch.stack([total, learner.weights_norm()]).tolist()
    result = scores.result()
    return {
        "train_loss": loss if math.isfinite(norm) else math.nan,
        "train_f_score": result["val_fscore"],
        "train_accuracy": result["accuracy"],
        "train_miou": result["val_miou"],
        "lr": used_rate(learner.optimizer),
        "epoch_seconds": time.perf_counter() - started,
    }


def _finish(
    learner: Learner, data: SegmentationData, history: History, trained: Row, run: Run
) -> EpochResult:
    """Validate a trained epoch while its checkpoint is written, and write the history."""
    sound = math.isfinite(trained["train_loss"])
    with ThreadPoolExecutor(1, "checkpoint") as thread:
        saved = thread.submit(saver(learner, data, history, trained, run)) if sound else None
        row, scores = _validate(learner, data, trained)
    if saved is not None:
        saved.result()  # raises if writing failed
        column = _score_column(run)
        best = max(history[column], default=-math.inf)
        checkpoint.settle_weights(run.dir, best=run.all_data or row[column] >= best)
    for column, values in history.items():
        values.append(row[column])
    write_history(run.dir, history)
    by_image = scores.by_image(ious if run.score == "val_miou" else fscores)
    last = {column: values[-1] for column, values in history.items() if values[-1] is not None}
    score, rate, _ = last.pop(_score_column(run)), last.pop("lr"), last.pop("val_f_per_class")
    epoch = len(history["lr"])
    return EpochResult(
        epoch=epoch,
        epochs=learner.config.trainer.epochs,
        score=score,
        lr=rate,
        metrics=last,
        applied=learner.applied(epoch),
        images=dict(zip(data.val.names, by_image, strict=True)),
    )


def _pass(learner: Learner, data: SegmentationData, epoch: int, run: Run) -> tuple[Tensor, Scores] | None:
    """Pass over the training images in a new order; the incomplete last batch is dropped."""
    order_seed, augment_seed, dropout_seed = _seeds(run.seed, epoch)
    torch.manual_seed(dropout_seed)
    order = torch.randperm(len(data.train.names), generator=torch.Generator().manual_seed(order_seed))
    generator = torch.Generator().manual_seed(augment_seed)
    size = learner.config.trainer.batch_size
    order_by_batch = order.to(data.train.images.device).split(size)[: len(order) // size]

    learner.model.train()
    total = torch.zeros((), device=learner.device)
    scores = Scores(len(data.classes))
    with closing(batches(data.train, order_by_batch, learner.device)) as read_ahead:
        for raw_images, raw_masks in read_ahead:
            if run.should_stop():
                return None
            images, masks = augment(
                as_float(raw_images, learner.device),
                raw_masks,
                learner.config.augment,
                data.mirror_pairs,
                generator,
            )
            loss, prediction = learner.step(images, masks)
            total += loss
            scores.add(prediction, masks)
    return total / len(order_by_batch), scores


@torch.inference_mode()
def _validate(learner: Learner, data: SegmentationData, trained: Row) -> tuple[Row, Scores]:
    """All columns of an epoch, and the counts of all validation images.

    The logits are upsampled to the size of the targets.
    """
    started = time.perf_counter()
    total = torch.zeros((), device=learner.device)
    scores = Scores(len(data.classes))
    for logits, targets in forward(learner, data.val.images, data.val_targets, len(data.classes)):
        # The loss is only plotted: about as many pixels as in training are enough.
        stride = max(1, targets.shape[1] // data.val.images.shape[2])
        thinned = logits[..., ::stride, ::stride], targets[..., ::stride, ::stride]
        total += learner.criterion(*thinned) * len(targets)
        scores.add(logits.argmax(1), targets)
    loss, result = (total / len(data.val.names)).item(), scores.result()
    finite = math.isfinite(trained["train_loss"]) and math.isfinite(loss)
    seconds = trained["epoch_seconds"] + time.perf_counter() - started
    columns = {
        "val_loss": loss,
        "val_f_score": result["val_fscore"] if finite else math.nan,
        "val_accuracy": result["accuracy"],
        "val_fscore_batch32": result["fscore_batch32"],
        "val_fscore_pooled": result["fscore_pooled"],
        "val_miou": result["val_miou"] if finite else math.nan,
        "val_f_per_class": result["per_class"],
        "epoch_seconds": seconds,
        "images_per_second": len(data.train.names) / seconds,
    }
    return trained | columns, scores


def _exhausted(scores: list[float], smooth: int, patience: int | None) -> bool:
    """Whether `patience` epochs have passed without a better mean of `smooth` scores."""
    means = trailing_means(scores, smooth)[smooth - 1 :]
    if patience is None or not means:
        return False
    return len(means) - 1 - means.index(max(means)) >= patience


def _seeds(seed: int, epoch: int) -> list[int]:
    """Three independent seeds for an epoch; epoch 0 is the initialisation."""
    return np.random.SeedSequence([seed, epoch]).generate_state(3).tolist()


def _prepare(device: torch.device) -> None:
    """Let PyTorch use TF32 instead of float32, and look for the fastest convolutions, on a GPU."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
