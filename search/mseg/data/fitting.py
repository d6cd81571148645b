"""Sizes of images as space.yaml writes them, and how an image of any size comes to the training size."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.mseg.data.labels import IGNORED

Size = tuple[int, int]
"""Height and width in pixels."""

Pixels = NDArray[np.uint8]

_WRITTEN = re.compile(r"\[ *(\d+) *, *(\d+) *\]")


def size_reader(least: int, most: int, multiple: int, *words: str) -> Callable[[object], int | Size | str]:
    """A validator of sizes: a side, `[height, width]`, or one of `words`.

    A list among `choices` arrives as its text (`search/spec/parameter.py`). Two equal sides are one side.
    """
    steps = f"a multiple of {multiple}, " if multiple > 1 else ""
    alternatives = "".join(f" or '{word}'" for word in words)
    rule = f"should be {steps}{least} to {most}, or such sides as [height, width]{alternatives}"

    def read(value: object) -> int | Size | str:
        if isinstance(value, str) and value in words:
            return value
        match = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
        given = tuple(map(int, match.groups())) if match else value
        sides = tuple(given) if isinstance(given, list | tuple) else (given, given)
        if len(sides) != 2 or not all(
            type(side) is int and least <= side <= most and side % multiple == 0 for side in sides
        ):
            raise ValueError(rule)
        height, width = sides
        return height if height == width else (height, width)

    return read


def as_size(sides: int | Size) -> Size:
    """A side is a square."""
    return (sides, sides) if isinstance(sides, int) else sides


def in_words(size: tuple[int, ...]) -> str:
    """`360 x 480`."""
    return " x ".join(map(str, size))


class Box(NamedTuple):
    """Where an image lies on a canvas, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def scaled(self, canvas: Size, to: Size) -> "Box":
        """The same part of a canvas of another size."""
        top, bottom = (round(edge * to[0] / canvas[0]) for edge in (self.top, self.top + self.height))
        left, right = (round(edge * to[1] / canvas[1]) for edge in (self.left, self.left + self.width))
        return Box(top, left, max(1, bottom - top), max(1, right - left))


@dataclass(frozen=True, slots=True)
class Fitting:
    """How images and masks come to the training size.

    Attributes:
        size: of training images.
        pad: keep the aspect ratio, and fill the rest with black in the image and IGNORED in the mask; else
            images are stretched to the size.
    """

    size: Size
    pad: bool = False

    def box(self, own: Size) -> Box:
        """Where an image of size `own` lies at the training size: centred, as large as it can be."""
        height, width = self.size
        if not self.pad:
            return Box(0, 0, height, width)
        scale = min(height / own[0], width / own[1])
        inner = (max(1, min(round(side * scale), most)) for side, most in zip(own, self.size, strict=True))
        inner_height, inner_width = inner
        return Box((height - inner_height) // 2, (width - inner_width) // 2, inner_height, inner_width)

    def image(self, image: Image.Image) -> Pixels:
        """An RGB image at the training size, (3, H, W)."""
        box = self.box((image.height, image.width))
        resized = np.asarray(image.resize((box.width, box.height), Image.Resampling.BILINEAR))
        return np.ascontiguousarray(self._placed(resized, box, self.size, 0).transpose(2, 0, 1))

    def mask(self, mask: Image.Image, size: Size | None = None) -> Pixels:
        """A mask (mode L) at the training size, or as that looks at another `size`: (H, W)."""
        box, canvas = self.box((mask.height, mask.width)), size or self.size
        box = box.scaled(self.size, canvas)
        resized = np.asarray(mask.resize((box.width, box.height), Image.Resampling.NEAREST))
        return self._placed(resized, box, canvas, IGNORED)

    def _placed(self, pixels: Pixels, box: Box, canvas: Size, fill: int) -> Pixels:
        if (box.height, box.width) == canvas:
            return pixels
        placed = np.full((*canvas, *pixels.shape[2:]), fill, np.uint8)
        placed[box.top : box.top + box.height, box.left : box.left + box.width] = pixels
        return placed
