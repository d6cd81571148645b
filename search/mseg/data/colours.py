"""The colours that classes are drawn in."""

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from search.mseg.data.labels import IGNORED, Pixels

LEGEND_FONT = 13  # pixels, as below
LEGEND_LINE = 20


def default_colours(classes: int) -> Pixels:
    """RGB of each class, (classes, 3): the first dark, the others far apart from their neighbours."""
    palette = [(0.12, 0.12, 0.12)]
    for index in range(1, classes):
        # The golden ratio spreads any number of hues; brightness tells those apart that come close.
        palette.append(colorsys.hsv_to_rgb(index * 0.618 % 1.0, 0.65, (1.0, 0.75, 0.5)[index % 3]))
    return (np.array(palette) * 255).round().astype(np.uint8)


def painted(masks: Pixels, colours: Pixels) -> Pixels:
    """Masks (..., H, W) in the colours of their classes, hatched grey where ignored: (..., H, W, 3)."""
    y, x = np.indices(masks.shape[-2:])
    hatched = np.where((x + y) // 2 % 3 == 0, 120, 220).astype(np.uint8)
    known = colours[np.minimum(masks, len(colours) - 1)]
    return np.where((masks == IGNORED)[..., None], hatched[..., None], known)


def draw_legend(
    picture: Image.Image,
    corner: tuple[int, int],
    labels: Sequence[int],
    classes: Sequence[str],
    colours: Pixels,
) -> None:
    """Draws a line for each of these classes, from `corner` (x, y) down: its colour and its name."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(LEGEND_FONT)
    x, y = corner
    for label in labels:
        patch = np.full((LEGEND_FONT, LEGEND_FONT), label, np.uint8)
        picture.paste(Image.fromarray(painted(patch, colours)), (x, y))
        pen.text((x + 18, y - 1), "ignored" if label == IGNORED else classes[label], "black", font)
        y += LEGEND_LINE


def distinct(colours: Pixels, classes: int) -> bool:
    """Whether these (n, 3) are a different colour for each class, as the palette of a drawn mask has."""
    return len(colours) >= classes and len(np.unique(colours[:classes], axis=0)) == classes
