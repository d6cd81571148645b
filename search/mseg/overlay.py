"""`overlay.png`: the validation faces that the best weights segment worst and best.

One row per face: image, truth and prediction in the classes' colours, with the face's F. It is drawn once,
when training ends: the best weights predict the validation images once more, which takes a two-hundredth of
a full training and spares keeping predictions from epoch to epoch. All faces go to `faces.npz`, small.
"""

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate

from search.mseg import gallery
from search.mseg.data.dataset import SegmentationData
from search.mseg.files import publish
from search.mseg.inference import forward
from search.mseg.learner import Learner
from search.mseg.metrics import counts, fscores
from search.objective import PICTURE, WEIGHTS

SIDE = 224  # of a panel; all lengths in pixels
GAP = 8
LINE = 20  # of text
LEGEND = 128  # wide

Pixels = NDArray[np.uint8]


@torch.inference_mode()
def write(folder: Path, learner: Learner, data: SegmentationData) -> None:
    """Draw `overlay.png` and write `faces.npz` by the best weights in `folder`; nothing if there are none.

    `learner` holds those weights afterwards.
    """
    if not (folder / WEIGHTS).exists():
        return
    learner.evaluated.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    classes = len(data.classes)
    by_batch, small = [], []
    for logits, targets in forward(learner, data.val.images, data.val_targets, classes):
        predictions = logits.argmax(1)
        by_batch.append(fscores(counts(predictions, targets, classes)).nanmean(1).cpu())
        small.append(_shrunk(predictions).cpu())
    scores = torch.cat(by_batch)
    _keep(folder, data, scores, torch.cat(small))
    faces = {"worst": int(scores.argmin()), "best": int(scores.argmax())}
    images, targets = (of[list(faces.values())] for of in (data.val.images, data.val_targets))
    predicted = torch.cat([logits.argmax(1) for logits, _ in forward(learner, images, targets, classes)])

    rows = []
    pixels = (images.permute(0, 2, 3, 1), targets, predicted.to(torch.uint8))
    for (name, face), *panels in zip(faces.items(), *(each.cpu().numpy() for each in pixels), strict=True):
        title = f"{name} of {len(scores)}: {data.val.names[face]}, F {scores[face]:.4f}"
        rows.append((title, *panels))
    temporary = folder / f"{PICTURE}.tmp"
    _draw(rows, data.classes).save(temporary, "PNG", compress_level=1)  # a third of the time
    publish(temporary, folder / PICTURE)


def _keep(folder: Path, data: SegmentationData, scores: Tensor, predicted: Tensor) -> None:
    """Write the gallery: `scores` (N,), `predicted` (N, SIDE, SIDE) as `_shrunk` makes them."""
    most = gallery.MOST
    images = interpolate(data.val.images[:most].float(), size=(gallery.SIDE, gallery.SIDE), mode="area")
    gallery.write(
        folder,
        names=data.val.names[:most],
        scores=scores[:most].numpy(),
        images=images.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy(),
        truth=_shrunk(data.val_targets[:most]).cpu().numpy(),
        predicted=predicted[:most].numpy(),
        classes=data.classes,
        palette=colours(len(data.classes)),
    )


def _shrunk(masks: Tensor) -> Tensor:
    """Masks (B, H, W) of class numbers at the gallery's size, uint8: each pixel is one of the mask's."""
    side = gallery.SIDE
    return interpolate(masks[:, None].float(), size=(side, side), mode="nearest")[:, 0].to(torch.uint8)


def _draw(rows: Sequence[tuple[str, Pixels, Pixels, Pixels]], classes: Sequence[str]) -> Image.Image:
    """The picture of rows of title, image (S, S, 3), truth (H, W) and prediction (H, W)."""
    width = GAP + 3 * (SIDE + GAP) + LEGEND
    picture = Image.new("RGB", (width, LINE + len(rows) * (LINE + SIDE) + GAP), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    palette = colours(len(classes))
    left = [GAP + index * (SIDE + GAP) for index in range(3)]
    for x, heading in zip(left, ("image", "truth", "prediction"), strict=True):
        pen.text((x, 3), heading, "black", font)
    y = LINE
    for title, image, truth, prediction in rows:
        pen.text((GAP, y + 3), title, "black", font)
        y += LINE
        for x, pixels in zip(left, (image, palette[truth], palette[prediction]), strict=True):
            smooth = Image.Resampling.BILINEAR if pixels is image else Image.Resampling.NEAREST
            picture.paste(Image.fromarray(pixels).resize((SIDE, SIDE), smooth), (x, y))
        y += SIDE
    present = sorted({int(each) for _, _, *masks in rows for mask in masks for each in np.unique(mask)})
    for line, index in enumerate(present):
        top = 2 * LINE + line * LINE
        pen.rectangle((width - LEGEND, top, width - LEGEND + 12, top + 12), tuple(palette[index].tolist()))
        pen.text((width - LEGEND + 18, top - 1), classes[index], "black", font)
    return picture


def colours(classes: int) -> Pixels:
    """RGB of each class, (classes, 3): the first dark, the others far apart from their neighbours."""
    palette = [(0.12, 0.12, 0.12)]
    for index in range(1, classes):
        # The golden ratio spreads any number of hues; brightness tells those apart that come close.
        palette.append(colorsys.hsv_to_rgb(index * 0.618 % 1.0, 0.65, (1.0, 0.75, 0.5)[index % 3]))
    return (np.array(palette) * 255).round().astype(np.uint8)
