"""The labelled test split: what it is, and what a trial's weights score on it.

A folder's is in `test/images` and `test/masks`. Drawn faces have one, too: the seed's faces behind all that
a study may train on or validate with. Only `search report --final` comes here, and nothing is kept: no
cached array, no name of a file.

H, W: sides of a mask. S: side of an image.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from search.errors import DataError
from search.mseg.config import Config
from search.mseg.data import data, drawn_faces
from search.mseg.data.celebamask import CLASSES
from search.mseg.data.contents import Content, contents, digest
from search.mseg.data.data import DataConfig
from search.mseg.data.folder import TEST, Folder, Pair, decode, labelled_test, scan
from search.mseg.inference import forward
from search.mseg.learner import Learner, build
from search.mseg.metrics import counts, fscores
from search.objective import ImageScores, LabelledTest

DRAWN = 200
"""Faces of the test split of drawn data."""

AT_ONCE = 64
"""Images in memory at a time."""


def describe_test(config: Config, root: Path | None) -> LabelledTest:
    """The test split of `config`. Every file of it is read, so that every fault shows up here.

    Raises:
        DataError: there is no labelled test split, or a file of it cannot be scored.
    """
    if config.data.source == "drawn":
        return LabelledTest(
            images=DRAWN,
            fingerprint={
                "faces": f"version {drawn_faces.VERSION}, {DRAWN} of seed {config.data.drawn_seed} "
                f"from {data.MOST_DRAWN}",
                "eval_size": str(data.drawn_side(config.data)),
            },
        )
    folder = scan(root)
    pairs = labelled_test(folder.root)
    files = [file for pair in pairs for file in (pair.image, pair.mask)]
    known = dict(zip(files, contents(folder.root / TEST, files), strict=True))
    for _ in _from_folder(config.data, folder, pairs):
        pass
    size = config.data.eval_size
    return LabelledTest(
        images=len(pairs),
        fingerprint={
            "names": digest(pair.image.name for pair in pairs),
            "contents": digest((known[pair.image].sha256, known[pair.mask].sha256) for pair in pairs),
            "classes": digest(folder.classes),
            "eval_size": str(config.data.image_size if size == "train" else size),
        },
        problems=_leaks(folder, pairs, known),
    )


@torch.inference_mode()
def score_test(config: Config, weights: Path, root: Path | None, device: str) -> ImageScores:
    """The challenge's F of each image: the mean over the classes in its ground truth.

    Args:
        weights: a `best.safetensors`.
        device: a torch device.

    Raises:
        DataError: as `describe_test`; or `weights` are damaged, or not of this config.
    """
    if config.data.source == "drawn":
        classes, rows = CLASSES, _drawn(config.data)
    else:
        folder = scan(root)
        classes, rows = folder.classes, _from_folder(config.data, folder, labelled_test(folder.root))
    learner = build(config, len(classes), torch.device(device))
    _put(weights, learner)
    by_class = torch.cat(
        [
            fscores(counts(logits.argmax(1), targets, len(classes))).cpu()
            for images, masks in _batches(rows)
            for logits, targets in forward(learner, images, masks, len(classes))
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


Row = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""An image (3, S, S), RGB, and its mask (H, W) as it is scored."""


def _from_folder(config: DataConfig, folder: Folder, pairs: tuple[Pair, ...]) -> Iterator[Row]:
    size = config.image_size if config.eval_size == "train" else config.eval_size
    for row in decode(pairs, config.image_size, len(folder.classes), size):
        yield row["images"], row["targets"]


def _drawn(config: DataConfig) -> Iterator[Row]:
    side = data.drawn_side(config)
    for number in range(data.MOST_DRAWN, data.MOST_DRAWN + DRAWN):
        images, masks = drawn_faces.draw(1, config.image_size, config.drawn_seed, first=number)
        scored = interpolate(torch.from_numpy(masks)[:, None], side, mode="nearest-exact")
        yield images[0], scored[0, 0].numpy()


def _batches(rows: Iterator[Row]) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (B, 3, S, S) and masks (B, H, W), uint8, in their order."""
    while some := list(islice(rows, AT_ONCE)):
        images, masks = (torch.from_numpy(np.stack(each)) for each in zip(*some, strict=True))
        yield images, masks


def _put(weights: Path, learner: Learner) -> None:
    """Has `learner` hold the weights of a file."""
    try:
        learner.evaluated.load_state_dict(safetensors.torch.load_file(weights))
    except (OSError, safetensors.SafetensorError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise DataError(f"{weights}: damaged, or of another config ({said}); copy it again") from error


def _leaks(folder: Folder, pairs: tuple[Pair, ...], known: dict[Path, Content]) -> list[str]:
    """Says how many test images are images that the study trains on or validates with."""
    seen = {content.sha256 for content in data.contents_of(folder).values()}
    leaked = sum(known[pair.image].sha256 in seen for pair in pairs)
    if not leaked:
        return []
    return [f"{leaked} of {len(pairs)} test images are training or validation images, too."]
