"""`overlay.png`: the validation images that the best weights segment worst and best.

One row per image: image, truth and prediction in the classes' colours, with the image's F. It is drawn
once, when training ends: the best weights predict the validation images once more, which takes a
two-hundredth of a full training and spares keeping predictions from epoch to epoch. The first ones go to
`faces.npz`, small.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate

from search.mseg import gallery
from search.mseg.data.colours import LEGEND_LINE, draw_legend, painted
from search.mseg.data.dataset import DataSettings, SegmentationData
from search.mseg.data.fitting import scaled_to
from search.mseg.data.labels import IGNORED, Pixels
from search.mseg.data.targets import targets_of
from search.mseg.inference import forward
from search.mseg.learner import Learner
from search.mseg.metrics import counts, fscores
from search.objective import PICTURE, WEIGHTS
from search.objective.files import publish

SIDE = 224  # the longer one of a panel; all lengths in pixels
GAP = 8
LINE = 20  # of text
LEGEND = 128  # wide


@torch.inference_mode()
def write(folder: Path, learner: Learner, data: SegmentationData) -> None:
    """Draw `overlay.png` and write `faces.npz` by the best weights in `folder`; nothing if there are none.

    `learner` holds those weights afterwards.
    """
    if not (folder / WEIGHTS).exists():
        return
    learner.evaluated.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    settings, classes = learner.config.data, len(data.classes)
    by_batch: list[Tensor] = []
    truth: list[Tensor] = []
    predicted: list[Tensor] = []
    for logits, targets in forward(learner, data.val.images, data.val_targets, classes):
        predictions = logits.argmax(1)
        by_batch.append(fscores(counts(predictions, targets, classes)).nanmean(1).cpu())
        if sum(len(part) for part in truth) < gallery.MOST:
            truth.append(_shrunk(targets, settings).cpu())
            predicted.append(_shrunk(predictions, settings).cpu())
    scores = torch.cat(by_batch)
    small = scaled_to(gallery.SIDE, settings.fitting.size)
    images = interpolate(data.val.images[: gallery.MOST].float(), size=small, mode="area")
    gallery.write(
        folder,
        names=data.val.names[: gallery.MOST],
        scores=scores[: gallery.MOST].numpy(),
        images=images.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy(),
        truth=torch.cat(truth)[: gallery.MOST].numpy(),
        predicted=torch.cat(predicted)[: gallery.MOST].numpy(),
        classes=data.classes,
        palette=data.colours,
    )
    temporary = folder / f"{PICTURE}.tmp"
    rows = _rows(learner, data, scores)
    _draw(rows, data.classes, data.colours).save(temporary, "PNG", compress_level=1)  # a third of the time
    publish(temporary, folder / PICTURE)


def _rows(
    learner: Learner, data: SegmentationData, scores: Tensor
) -> list[tuple[str, Pixels, Pixels, Pixels]]:
    """Title, image (h, w, 3), truth (H, W) and prediction (H, W) of the worst and the best image."""
    extremes = {
        "worst": int(scores.nan_to_num(nan=torch.inf).argmin()),  # NaN where every pixel is ignored
        "best": int(scores.nan_to_num(nan=-torch.inf).argmax()),
    }
    images = data.val.images[list(extremes.values())]
    targets = targets_of([data.val_targets[index] for index in extremes.values()])
    predicted = [
        mask
        for logits, _ in forward(learner, images, targets, len(data.classes))
        for mask in logits.argmax(1).to(torch.uint8).cpu().numpy()
    ]
    rows = []
    for row, (name, index) in enumerate(extremes.items()):
        title = f"{name} of {len(scores)}: {data.val.names[index]}, F {scores[index]:.4f}"
        image = images[row].permute(1, 2, 0).cpu().numpy()
        truth = targets[row].cpu().numpy()
        if _unpadded(learner.config.data):
            image = image[learner.config.data.fitting.box((truth.shape[0], truth.shape[1])).slices]
        rows.append((title, image, truth, predicted[row]))
    return rows


def _unpadded(settings: DataSettings) -> bool:
    """Whether targets lack the padding that the images have."""
    return settings.fitting.pad and settings.scored_at == "native"


def _shrunk(masks: Tensor, settings: DataSettings) -> Tensor:
    """Masks (B, H, W) of class numbers at the gallery's size, uint8: each pixel is one of the mask's."""
    small = scaled_to(gallery.SIDE, settings.fitting.size)
    if not _unpadded(settings):
        return interpolate(masks[:, None].float(), size=small, mode="nearest")[:, 0].to(torch.uint8)
    box = settings.fitting.box((masks.shape[1], masks.shape[2])).scaled(settings.fitting.size, small)
    inner = interpolate(masks[:, None].float(), size=(box.height, box.width), mode="nearest")[:, 0]
    result = masks.new_full((len(masks), *small), IGNORED, dtype=torch.uint8)
    result[(slice(None), *box.slices)] = inner.to(torch.uint8)
    return result


def _draw(
    rows: Sequence[tuple[str, Pixels, Pixels, Pixels]], classes: Sequence[str], colours: Pixels
) -> Image.Image:
    """The picture of rows of title, image (h, w, 3), truth (H, W) and prediction (H, W)."""
    present = sorted({int(each) for _, _, *masks in rows for mask in masks for each in np.unique(mask)})
    panels = [scaled_to(SIDE, truth.shape) for _, _, truth, _ in rows]
    width = GAP + 3 * (SIDE + GAP) + LEGEND
    height = LINE + sum(LINE + panel[0] for panel in panels) + GAP
    picture = Image.new("RGB", (width, max(height, 2 * LINE + len(present) * LEGEND_LINE)), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    left = [GAP + index * (SIDE + GAP) for index in range(3)]
    for x, heading in zip(left, ("image", "truth", "prediction"), strict=True):
        pen.text((x, 3), heading, "black", font)
    y = LINE
    for (title, image, truth, prediction), panel in zip(rows, panels, strict=True):
        pen.text((GAP, y + 3), title, "black", font)
        y += LINE
        for x, pixels in zip(left, (image, truth, prediction), strict=True):
            smooth = Image.Resampling.BILINEAR if pixels is image else Image.Resampling.NEAREST
            sized = np.asarray(Image.fromarray(pixels).resize(panel[::-1], smooth))
            picture.paste(Image.fromarray(sized if pixels is image else painted(sized, colours)), (x, y))
        y += panel[0]
    draw_legend(picture, (width - LEGEND, 2 * LINE), present, classes, colours)
    return picture
