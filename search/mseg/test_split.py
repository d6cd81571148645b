"""The labelled test split: what it is, and what a trial's weights score on it.

Only `search report --final` comes here, and nothing of the split is kept.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from search.mseg.config import Config
from search.mseg.data.labels import Pixels
from search.mseg.data.sources import source
from search.mseg.data.targets import Targets, targets_of
from search.mseg.inference import forward
from search.mseg.learner import predictor
from search.mseg.metrics import counts, fscores, ious
from search.mseg.weights import fill, read_weights
from search.objective import ImageScores, LabelledTest

AT_ONCE = 64
"""Images in memory at a time."""


def describe_test(config: Config, root: Path | None) -> LabelledTest:
    """The test split of `config`. Every file of it is read, so that every fault shows up here.

    Raises:
        DataError: there is no labelled test split, or a file of it cannot be scored.
    """
    return source(config.data, root).test_split().describe()


@torch.inference_mode()
def score_test(
    config: Config, weights: Path, root: Path | None, device: str, score: str | None = None
) -> ImageScores:
    """The challenge's F of each image: the mean over the classes in its ground truth.

    For `val_miou` the IoU of each image instead, the mean over the classes in its ground truth or its
    prediction: a mean IoU pooled over images, as in validation, has no value for one image.

    Args:
        weights: a `best.safetensors`.
        device: a torch device.
        score: of the study; None for its default.

    Raises:
        DataError: as `describe_test`; or `weights` are damaged, or not of this config.
    """
    split = source(config.data, root).test_split()
    classes = split.classes
    of_class = ious if score == "val_miou" else fscores
    trained = predictor(config, len(classes), torch.device(device))
    fill(trained.model, read_weights(weights)[0], weights)
    by_class = torch.cat(
        [
            of_class(counts(logits.argmax(1), targets, len(classes))).cpu()
            for images, masks in _batches(split.images())
            for logits, targets in forward(trained, images, masks, len(classes))
        ]
    )
    holding = (~by_class.isnan()).sum(0).tolist()
    means = by_class.nanmean(0).tolist()
    return ImageScores(
        scores=by_class.nanmean(1).tolist(),
        per_class={
            name: (mean, count) for name, mean, count in zip(classes, means, holding, strict=True) if count
        },
    )


def _batches(images: Iterator[tuple[Pixels, Pixels]]) -> Iterator[tuple[Tensor, Targets]]:
    """Images (B, 3, H, W), uint8, and their masks as they are scored, in their order."""
    while batch := list(islice(images, AT_ONCE)):
        pixels, masks = zip(*batch, strict=True)
        yield torch.from_numpy(np.stack(pixels)), targets_of([torch.tensor(mask) for mask in masks])
