"""Sizes of images as space.yaml writes them, and how an image of any size comes to the training size."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from search.mseg.data.labels import IGNORED, Pixels

Size = tuple[int, int]
"""Height and width in pixels."""

_WRITTEN = re.compile(r"\[ *(\d+) *, *(\d+) *\]")


@dataclass(frozen=True)
class SizeRule:
    """What a size may be: a side, `[height, width]`, or one of `words`.

    Attributes:
        least, most, multiple: of each side, in pixels.
    """

    least: int
    most: int
    multiple: int = 1
    words: tuple[str, ...] = ()

    def read(self, value: object) -> int | Size | str:
        """A validator for pydantic. Two equal sides are one side.

        A list among `choices` arrives as its text (`search/spec/parameter.py`).
        """
        if isinstance(value, str) and value in self.words:
            return value
        match = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
        given = tuple(map(int, match.groups())) if match else value
        sides = tuple(given) if isinstance(given, list | tuple) else (given, given)
        if len(sides) != 2 or not all(map(self._allows, sides)):
            steps = f"a multiple of {self.multiple}, " if self.multiple > 1 else ""
            alternatives = "".join(f" or '{word}'" for word in self.words)
            sides_in_words = f"{steps}{self.least} to {self.most}, or such sides as [height, width]"
            raise ValueError(f"should be {sides_in_words}{alternatives}")
        height, width = sides
        return height if height == width else (height, width)

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""
        side = {"type": "integer", "minimum": self.least, "maximum": self.most, "multipleOf": self.multiple}
        size = {"type": "array", "items": side, "minItems": 2, "maxItems": 2}
        return {"anyOf": [side, size, *([{"enum": list(self.words)}] if self.words else [])]}

    def _allows(self, side: object) -> bool:
        return type(side) is int and self.least <= side <= self.most and side % self.multiple == 0


def as_size(sides: int | Size) -> Size:
    """A side is a square."""
    return (sides, sides) if isinstance(sides, int) else sides


def scaled_to(longer: int, shape: tuple[int, ...]) -> Size:
    """The size of this shape whose longer side has `longer` pixels."""
    height, width = shape
    scale = longer / max(shape)
    return max(1, round(height * scale)), max(1, round(width * scale))


def in_words(size: tuple[int, ...]) -> str:
    """`360 x 480`."""
    return " x ".join(map(str, size))


class Box(NamedTuple):
    """Where an image is on a canvas, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns of the canvas."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

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
        """Where an image of size `own` is placed at the training size: centred, as large as it can be."""
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
        placed[box.slices] = pixels
        return placed
