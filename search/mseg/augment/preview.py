"""A picture of what augmentation does: training images as they are, and as training sees them.

One row per image: the original beside its mask, then several augmented versions beside theirs.
"""

import textwrap

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from search.mseg.augment.pipeline import augment
from search.mseg.augment.settings import PROBABILITIES, AugmentSettings
from search.mseg.data.batches import as_float
from search.mseg.data.colours import LEGEND_LINE, draw_legend, painted
from search.mseg.data.dataset import SegmentationData
from search.mseg.data.fitting import scaled_to
from search.mseg.data.labels import Pixels

IMAGES = 6
VERSIONS = 4
SIDE = 120  # the longer one of an image; all lengths in pixels
GAP = 12
LINE = 18  # of text
LEGEND = 130  # wide
CHARACTER = 6.5  # wide, on average


def draw(data: SegmentationData, config: AugmentSettings) -> Image.Image:
    """The picture of the first training images of `data`, with the same random numbers each time."""
    images = as_float(data.train.images[:IMAGES], torch.device("cpu"))
    masks = data.train.masks[:IMAGES].cpu()
    generator = torch.Generator().manual_seed(0)
    versions = [augment(images, masks, config, data.mirror_pairs, generator) for _ in range(VERSIONS)]
    columns = [(images, masks), *versions]
    cells = [[_cell(*pair, data.colours) for pair in zip(*column, strict=True)] for column in columns]

    height, width = (side + GAP for side in cells[0][0].shape[:2])
    legend = GAP + len(columns) * width
    text = textwrap.wrap(title(config), int((legend + LEGEND - 2 * GAP) / CHARACTER))
    top = GAP + len(text) * LINE + LINE
    seen = torch.cat([labels for _, labels in columns]).unique().tolist()
    bottom = top + max(len(images) * height, len(seen) * LEGEND_LINE)
    picture = Image.new("RGB", (legend + LEGEND, bottom), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    pen.text((GAP, GAP - 4), "\n".join(text), "black", font, spacing=LINE - 13)
    for column, rows in enumerate(cells):
        x = GAP + column * width
        pen.text((x, top - LINE), f"augmented {column}" if column else "original", "black", font)
        for row, pixels in enumerate(rows):
            picture.paste(Image.fromarray(pixels), (x, top + row * height))
    draw_legend(picture, (legend, top), seen, data.classes, data.colours)
    return picture


def title(config: AugmentSettings) -> str:
    """What is on, with its probability and its options, which are declared behind it."""
    groups: list[list[str]] = []
    for name, value in config.model_dump().items():
        text = f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        if name in PROBABILITIES:
            groups.append([text] if value else [])
        elif groups and groups[-1]:
            groups[-1].append(text)
    on = "; ".join(
        f"{group[0]} ({', '.join(group[1:])})" if group[1:] else group[0] for group in groups if group
    )
    return f"On, with probability: {on or 'nothing'}. What moves in from outside: {config.fill}."


def _cell(image: Tensor, mask: Tensor, colours: Pixels) -> Pixels:
    """An image (3, H, W) in [0, 1] beside its mask (H, W), scaled until the longer side is SIDE: RGB."""
    size = scaled_to(SIDE, mask.shape)[::-1]
    shown = Image.fromarray((image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
    labels = Image.fromarray(mask.numpy()).resize(size, Image.Resampling.NEAREST)
    pixels = [
        np.asarray(shown.resize(size, Image.Resampling.BILINEAR)),
        painted(np.asarray(labels), colours),
    ]
    return np.concatenate(pixels, axis=1)
