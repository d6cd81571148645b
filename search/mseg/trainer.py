"""Training one config: a generator of validated epochs, under the contract of `search.objective`.

Notable:
- What is random in an epoch (data order, augmentation, dropout) is seeded from the run's seed and the
  epoch's number, and from nothing else. A checkpoint therefore holds no random state, an epoch is the
  same whether or not training was interrupted before it, and whatever the consumer does between two
  epochs. On a CPU it is the same bit for bit (with the same number of threads); on CUDA atomics in the
  backward pass of the upsampling leave differences of rounding.
- Nothing waits for the device inside an epoch: losses and counts add up there and are fetched at its end.

B batch, C classes, S the training size.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from search.errors import DataError, SpaceError
from search.mseg import checkpoint, loss, model, optimizer, schedule
from search.mseg.augment import augment
from search.mseg.config import Config, TrainerConfig
from search.mseg.data import SegmentationData, load
from search.mseg.metric import FScore
from search.mseg.recording import History, empty_history, recorded, write_config, write_history
from search.objective import EpochResult, Run, Value, trailing_means

log = logging.getLogger(__name__)

VALIDATION_LOGITS = 2**23
"""Logits of a validation batch at most: 32 MB of float32, which a CPU's cache and any GPU can hold."""


def train(config: Config, run: Run) -> Iterator[EpochResult]:
    """Train `config`, yielding every epoch once it is validated, saved and written down.

    A run that diverges yields one result whose score is NaN, leaves no checkpoint of it, and ends.

    Raises:
        DataError: the data cannot be read, or do not fill one batch.
        SpaceError: the folder holds a checkpoint of other settings.
    """
    device = torch.device(run.device)
    try:
        yield from _epochs(config, run, device)
    finally:
        if device.type == "cuda":  # the frame that held the weights is gone by now
            torch.cuda.empty_cache()


def _epochs(config: Config, run: Run, device: torch.device) -> Iterator[EpochResult]:
    _prepare(device)
    data = load(config.data, run.data, device)
    if len(data.train.images) < config.trainer.batch_size:
        raise DataError(
            f"trainer.batch_size: {config.trainer.batch_size} is more than the {len(data.train.images)} "
            f"training images of {data.source}; give fewer"
        )
    learner = _build(config, data, device, run.seed)
    run.dir.mkdir(parents=True, exist_ok=True)
    write_config(run.dir, recorded(config, run, data, learner.precision))

    history = _resume(learner, config, run)
    write_history(run.dir, history)
    if history["lr"]:
        yield _result(learner, config, history, resumed=True)

    for epoch in range(len(history["lr"]) + 1, config.trainer.epochs + 1):
        if _exhausted(history["val_f_score"], config.trainer.patience, run.smooth):
            return
        started = time.perf_counter()
        rate = schedule.learning_rate(
            epoch, config.trainer.epochs, config.optimizer.learning_rate, config.schedule
        )
        optimizer.set_learning_rate(learner.optimizer, rate)
        sums = _train(learner, data, config, epoch, run)
        if sums is None:
            return
        row = sums | _validate(learner, data)
        ...
