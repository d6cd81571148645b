"""Painting by signed distance: a canvas, its shapes and its colours.

A shape is a float per pixel, negative inside and about the distance to the edge near it, in the units of
the canvas's own frame. It is antialiased in the image and hard in the mask, so both show the same edge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.floating[Any]]
"""One float32 per pixel of a rectangle, (h, w)."""

Colour = NDArray[np.floating[Any]]
"""RGB in [0, 1] as float32, broadcast to (3, h, w)."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A rectangle of the picture and where the frame is in it.

    Attributes:
        image: (3, h, w) float32 in [0, 1]. mask: (h, w) uint8 classes.
        u, v: the pixels' coordinates in the frame.
        x, y: the frame's origin in pixels from the rectangle's corner. angle: its tilt in radians.
        pixel: a pixel's side in the frame's units.
    """

    image: Field
    mask: NDArray[np.uint8]
    u: Field
    v: Field
    x: float
    y: float
    angle: float
    pixel: float

    def paint(self, distance: Field, colour: Colour, label: int | None, opacity: float = 1.0) -> None:
        """Paints where `distance` is negative; `label` None colours without changing the class."""
        cover = np.clip(0.5 - distance / self.pixel, 0, 1) * opacity
        self.image[:] += cover * (colour - self.image)
        if label is not None:
            self.mask[distance < 0] = label

    def around(self, u: float, v: float, radius: float) -> "Canvas":
        """The part of this rectangle that holds a circle: the same pixels, fewer of them to paint."""
        height, width = self.mask.shape
        column = self.x + (u * math.cos(self.angle) - v * math.sin(self.angle)) / self.pixel
        row = self.y + (u * math.sin(self.angle) + v * math.cos(self.angle)) / self.pixel
        reach = radius / self.pixel + 1
        left, right = (int(min(max(edge, 0), width)) for edge in (column - reach, column + reach + 1))
        top, bottom = (int(min(max(edge, 0), height)) for edge in (row - reach, row + reach + 1))
        here = (slice(top, bottom), slice(left, right))
        return Canvas(
            self.image[:, here[0], here[1]], self.mask[here], self.u[here], self.v[here],
            self.x - left, self.y - top, self.angle, self.pixel,
        )  # fmt: skip


def canvas_of(size: int, x: float, y: float, angle: float, unit: float) -> Canvas:
    """An empty square of `size` pixels; its frame has its origin at (x, y) and `unit` pixels to one."""
    across = np.arange(size, dtype=np.float32)[None, :] - x
    down = np.arange(size, dtype=np.float32)[:, None] - y
    cos, sin = math.cos(angle) / unit, math.sin(angle) / unit
    return Canvas(
        image=np.zeros((3, size, size), np.float32),
        mask=np.zeros((size, size), np.uint8),
        u=cos * across + sin * down,
        v=cos * down - sin * across,
        x=x, y=y, angle=angle, pixel=1 / unit,
    )  # fmt: skip


def ellipse(canvas: Canvas, u: float, v: float, ru: float, rv: float) -> Field:
    """Signed distance to an ellipse, exact on its edge where it is a circle and near it elsewhere."""
    return (np.hypot((canvas.u - u) / ru, (canvas.v - v) / rv) - 1) * min(ru, rv)


def lens(canvas: Canvas, u: float, v: float, ru: float, above: float, below: float) -> Field:
    """Signed distance to a shape with two corners at u ± `ru` and parabolas between them."""
    across = 1 - ((canvas.u - u) / ru) ** 2
    down = canvas.v - v
    return np.maximum(-down - above * across, down - below * across)


def rgb(red: float, green: float, blue: float) -> Colour:
    """A colour of three shares from 0 to 1, (3, 1, 1)."""
    return np.array([red, green, blue], np.float32).reshape(3, 1, 1)


def any_rgb(rng: np.random.Generator) -> Colour:
    """A random colour, never quite black or white."""
    return rgb(*rng.uniform(0.02, 0.98, 3))


def blend(tones: Sequence[tuple[float, float, float]], rng: np.random.Generator) -> Colour:
    """A colour between two neighbouring tones, and a little off them."""
    where = rng.uniform(0, len(tones) - 1)
    low, share = int(where), where % 1
    mixed = (1 - share) * np.array(tones[low]) + share * np.array(tones[low + 1])
    return rgb(*np.clip(mixed + rng.normal(0, 0.025, 3), 0.02, 0.98))


def clouds(canvas: Canvas, cells: int, rng: np.random.Generator) -> Field:
    """Smooth noise about 0, of standard deviation 1 at its `cells` x `cells` knots."""
    knots = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(knots.resize(canvas.mask.shape[::-1], Image.Resampling.BICUBIC))


def photograph(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image under some light, with the grain of a camera: (3, size, size) uint8."""
    direction, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.22)
    tilt = math.cos(direction) * canvas.u + math.sin(direction) * canvas.v
    cast = rgb(*(rng.uniform(0.7, 1.12) * rng.normal(1, 0.04, 3)))
    grain = rng.standard_normal(canvas.image.shape, dtype=np.float32) * rng.uniform(0.01, 0.06)
    image = canvas.image * cast * (1 + strength * tilt) + grain
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
