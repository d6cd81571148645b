"""Faces drawn by procedure, for machines that have no data.

They have CelebAMask-HQ's 19 classes at about the same places and with about the same shares. Pose,
proportions, hair, light and colours vary; colours overlap between classes (blond hair and skin, a wall like
either); hats, eyeglasses, earrings and necklaces are rare; hair and clutter hide parts. Neither position
nor colour alone identifies a class, so a small network has something to learn.

A face is painted from back to front in its own frame: origin between eyes and nose, u to larger x,
v down, forehead at v = -1, chin at v = 1. Shapes are signed distances (negative inside), antialiased in
the image and hard in the mask. Only the grain is drawn per pixel, and last: a face looks the same at every
size, and face i of a seed does not depend on how many are drawn.
"""

import math

import numpy as np
from numpy.typing import NDArray

from search.mseg.data.celebamask import Part
from search.mseg.data.painting import (
    Canvas,
    Colour,
    Field,
    any_rgb,
    blend,
    canvas_of,
    clouds,
    ellipse,
    lens,
    photograph,
    rgb,
)

VERSION = 1
"""Version of the drawing. Any change to a face must change it: a study's data must stay the same."""

# From light to dark; a face's tone lies between two neighbours.
SKIN = ((0.96, 0.82, 0.72), (0.90, 0.70, 0.57), (0.78, 0.57, 0.43), (0.58, 0.40, 0.29), (0.38, 0.25, 0.18))
HAIR = ((0.62, 0.60, 0.58), (0.80, 0.64, 0.42), (0.42, 0.27, 0.16), (0.22, 0.14, 0.09), (0.07, 0.06, 0.06))


def draw(count: int, size: int, seed: int, first: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw `count` faces of `seed`, from number `first` on.

    Args:
        count: at least 0.
        size: side of an image in pixels, at least 8.
        seed, first: at least 0.

    Returns:
        images (count, 3, size, size) uint8 RGB; masks (count, size, size) uint8, classes 0 to 18.
    """
    images = np.empty((count, 3, size, size), np.uint8)
    masks = np.empty((count, size, size), np.uint8)
    for index in range(count):
        images[index], masks[index] = _face(size, np.random.default_rng([seed, first + index]))
    return images, masks


def _face(size: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One face: image (3, size, size) uint8 and mask (size, size) uint8."""
    canvas = canvas_of(
        size,
        x=size * rng.normal(0.5, 0.03),
        y=size * rng.normal(0.51, 0.025),
        angle=math.radians(rng.normal(0, 7)),
        unit=size * rng.uniform(0.39, 0.48),
    )
    turn = rng.uniform(-0.12, 0.12)  # what is nearer to the camera moves further when the head turns
    rx = rng.uniform(0.66, 0.80)
    skin = blend(SKIN, rng)
    hair = _strands(canvas, blend(HAIR, rng), rng)
    bald, long = rng.random() < 0.06, rng.random() < 0.5
    volume = rng.uniform(0.08, 0.40)

    _background(canvas, skin, rng)
    outline = _hair_outline(canvas, rx, volume, long, rng)
    if not bald:
        canvas.paint(outline, hair * 0.8, Part.HAIR)
    _body(canvas, skin, rng)
    _ears(canvas, rx, turn, skin, rng)
    _head(canvas, rx, turn, skin, rng)
    _eyes(canvas, turn, hair, rng)
    _nose(canvas, 1.6 * turn, skin, rng)
    _mouth(canvas, 1.2 * turn, skin, rng)
    if not bald:
        _fringe(canvas, outline, rx, long, hair, rng)
    if rng.random() < 0.08:
        _hat(canvas, rx, rng)
    if rng.random() < 0.15:
        _clutter(canvas, skin, rng)
    return photograph(canvas, rng), canvas.mask


def _strands(canvas: Canvas, tone: Colour, rng: np.random.Generator) -> Colour:
    """Hair's colour per pixel: bent stripes and patches of light."""
    bend = 3 * clouds(canvas, 5, rng)
    stripes = np.sin(canvas.u * rng.uniform(15, 40) + bend)
    return tone * (1 + rng.uniform(0.02, 0.18) * stripes) + 0.017 * bend


def _background(canvas: Canvas, skin: Colour, rng: np.random.Generator) -> None:
    """Two colours in clouds, sometimes those of skin, with objects in it."""
    first = skin + rng.normal(0, 0.08) if rng.random() < 0.2 else any_rgb(rng)
    second = any_rgb(rng)
    share = np.clip(0.5 + rng.uniform(0.1, 0.5) * clouds(canvas, 4, rng), 0, 1)
    canvas.image[:] = first + share * (second - first)
    for _ in range(rng.integers(0, 4)):
        u, v = rng.uniform(-1.6, 1.6), rng.uniform(-1.6, 1.2)
        ru, rv = rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.6)
        near = canvas.around(u, v, max(ru, rv))
        near.paint(ellipse(near, u, v, ru, rv), any_rgb(rng), None, rng.uniform(0.4, 1))


def _hair_outline(canvas: Canvas, rx: float, volume: float, long: bool, rng: np.random.Generator) -> Field:
    """Distance to the largest extent of the hair: a cap, with a curtain to the shoulders if it is long."""
    cap = ellipse(canvas, 0, -0.2, rx + volume, 0.85 + volume)
    if not long:
        return np.maximum(cap, canvas.v - rng.uniform(-0.2, 0.15))
    flare, length = rng.uniform(-0.05, 0.25), rng.uniform(0.7, 1.9)
    curtain = np.abs(canvas.u) - (rx + volume) - flare * canvas.v
    wave = 0.04 * np.sin(canvas.v * rng.uniform(4, 12))
    curtain = np.maximum(np.maximum(curtain + wave, -0.2 - canvas.v), canvas.v - length)
    return np.minimum(cap, curtain)


def _body(canvas: Canvas, skin: Colour, rng: np.random.Generator) -> None:
    """Neck, clothes with a neckline, and sometimes a necklace."""
    shade = skin * rng.uniform(0.75, 0.95)
    width, shoulder = rng.uniform(0.38, 0.52), rng.uniform(1.0, 1.25)
    spread = np.maximum(np.abs(canvas.u) - width, 0)
    flesh = shoulder - 0.12 + 0.35 * spread - canvas.v
    neck = np.maximum(np.abs(canvas.u) - width, 0.3 - canvas.v)
    canvas.paint(np.minimum(neck, flesh), shade, Part.NECK)

    depth, slope = rng.uniform(0.0, 0.6), rng.uniform(0.6, 1.6)
    neckline = shoulder + depth - slope * np.abs(canvas.u)
    cloth = np.maximum(np.maximum(neckline, shoulder - 0.15 + 0.35 * spread), shoulder - 0.1) - canvas.v
    fabric = any_rgb(rng) * (1 + 0.1 * clouds(canvas, 8, rng))
    canvas.paint(cloth, fabric, Part.CLOTH)
    if rng.random() < 0.07:
        ring = ellipse(canvas, 0, 0.85, width * 1.02, rng.uniform(0.35, 0.6))
        chain = np.maximum(np.abs(ring) - 0.035, 0.9 - canvas.v)
        canvas.paint(chain, _metal(rng), Part.NECKLACE)


def _ears(canvas: Canvas, rx: float, turn: float, skin: Colour, rng: np.random.Generator) -> None:
    height, earring = rng.uniform(0.20, 0.30), rng.random() < 0.25
    metal, drop = _metal(rng), rng.uniform(0.07, 0.20)
    for side, part in ((1, Part.LEFT_EAR), (-1, Part.RIGHT_EAR)):
        # The ear on the side the head turns to goes behind the cheek.
        u, v = side * (rx - 0.01) - 1.2 * turn, 0.0
        near = canvas.around(u, v + 0.2, 0.65)
        near.paint(ellipse(near, u, v, 0.17, height), skin * 0.92, part)
        near.paint(ellipse(near, u, v, 0.08, 0.6 * height), skin * 0.75, None, 0.6)
        if earring:
            near.paint(ellipse(near, u, v + height + drop, 0.07, drop), metal, Part.EARRING)


def _metal(rng: np.random.Generator) -> Colour:
    gold, silver = rgb(0.85, 0.68, 0.25), rgb(0.85, 0.86, 0.90)
    return (gold if rng.random() < 0.5 else silver) * rng.uniform(0.6, 1.1)


def _head(canvas: Canvas, rx: float, turn: float, skin: Colour, rng: np.random.Generator) -> None:
    """The skin: an ellipse that narrows to the chin, rounded by shading; now and then a beard."""
    near = canvas.around(0, 0, 1.1)
    narrow = 1 + rng.uniform(0.05, 0.25) * np.maximum(near.v, 0) ** 2
    radius = np.hypot(near.u * narrow / rx, near.v)
    light = 1.04 - 0.16 * radius**3 + turn * near.u
    if rng.random() < 0.2:
        light -= rng.uniform(0.2, 0.5) * np.clip(4 * (near.v - 0.45) + 2 * near.u**2, 0, 1)
    near.paint((radius - 1) * rx, skin * light, Part.SKIN)


def _eyes(canvas: Canvas, turn: float, hair: Colour, rng: np.random.Generator) -> None:
    """Eyes and brows, and the glasses in front of them."""
    apart, width, v = rng.uniform(0.29, 0.36), rng.uniform(0.13, 0.17), rng.uniform(-0.20, -0.10)
    opening, lift, arch = rng.uniform(0.035, 0.075), rng.uniform(0.17, 0.25), rng.uniform(0.02, 0.09)
    thick, gaze = rng.uniform(0.04, 0.075), rng.uniform(-0.04, 0.04)
    iris = rgb(*rng.uniform(0.1, 0.5, 3))
    white, pupil = rgb(0.93, 0.92, 0.90), rgb(0.05, 0.05, 0.05)
    brow_tone = hair.mean(axis=(1, 2), keepdims=True) * rng.uniform(0.5, 0.9)
    glasses, dark = rng.random() < 0.09, rng.random() < 0.5
    frame_colour, frame_rv = any_rgb(rng) * 0.6, rng.uniform(0.13, 0.18)

    for side, eye, brow in ((1, Part.LEFT_EYE, Part.LEFT_BROW), (-1, Part.RIGHT_EYE, Part.RIGHT_BROW)):
        u = side * apart + turn
        near = canvas.around(u, v - 0.1, 0.42)
        # A brow is a lens bent upwards; the bend is subtracted from both of its parabolas.
        bow = lens(near, u, v - lift + arch, 1.5 * width, arch + thick, thick - arch)
        near.paint(bow, brow_tone, brow)
        lid = lens(near, u, v, width, 1.2 * opening, 0.8 * opening)
        near.paint(np.abs(lid) - 0.012, brow_tone, None, 0.7)
        near.paint(lid, white, eye)
        disc = ellipse(near, u + gaze, v, 0.055, 0.055)
        near.paint(np.maximum(disc, lid), iris, None)
        near.paint(np.maximum(disc + 0.03, lid), pupil, None)
        if glasses:
            glass = ellipse(near, u, v, 0.25, frame_rv)
            if dark:
                near.paint(glass, frame_colour * 0.3, Part.EYEGLASSES, 0.93)
            near.paint(np.abs(glass) - 0.03, frame_colour, Part.EYEGLASSES)
    if glasses:
        near = canvas.around(turn, v, 0.2)
        bridge = np.maximum(np.abs(near.v - v) - 0.03, np.abs(near.u - turn) - 0.12)
        near.paint(bridge, frame_colour, Part.EYEGLASSES)


def _nose(canvas: Canvas, u: float, skin: Colour, rng: np.random.Generator) -> None:
    """A wedge from between the eyes to the nostrils, which differs from the skin by its shading alone."""
    top, tip, width = -0.15, rng.uniform(0.24, 0.36), rng.uniform(0.18, 0.26)
    near = canvas.around(u, 0.1, 0.5)
    along = np.clip((near.v - top) / (tip - top), 0, 1)
    wedge = np.abs(near.u - u) - (0.08 + (width - 0.08) * along**2)
    shape = np.maximum(wedge, np.maximum(top - near.v, near.v - tip))
    light = 1.05 - rng.uniform(0.3, 1.2) * np.abs(near.u - u)
    near.paint(shape, skin * light, Part.NOSE)
    for side in (-1, 1):
        near.paint(ellipse(near, u + side * 0.5 * width, tip - 0.04, 0.04, 0.025), skin * 0.4, None)


def _mouth(canvas: Canvas, u: float, skin: Colour, rng: np.random.Generator) -> None:
    """Two lips and, where the mouth is open, what is between them."""
    v, width = rng.uniform(0.52, 0.60), rng.uniform(0.24, 0.34)
    upper, lower = rng.uniform(0.06, 0.10), rng.uniform(0.09, 0.15)
    gap = rng.uniform(0.04, 0.09) if rng.random() < 0.45 else 0.0
    smile = rng.uniform(-0.02, 0.10)
    lips = skin * rgb(rng.uniform(0.75, 1.0), rng.uniform(0.5, 0.8), rng.uniform(0.5, 0.8))
    teeth = rgb(0.9, 0.88, 0.84) if rng.random() < 0.6 else rgb(0.25, 0.08, 0.08)

    near = canvas.around(u, v, 0.45)
    across = 1 - ((near.u - u) / width) ** 2
    down = near.v - v - smile * across  # the corners of a smile are above its middle
    near.paint(np.maximum(-down - (gap + upper) * across, down), lips * 0.9, Part.UPPER_LIP)
    near.paint(np.maximum(down - (gap + lower) * across, -down), lips, Part.LOWER_LIP)
    if gap:
        near.paint(np.abs(down) - gap * across, teeth, Part.MOUTH)
    else:
        near.paint(np.maximum(np.abs(down) - 0.008, -across), lips * 0.5, None)


def _fringe(
    canvas: Canvas, outline: Field, rx: float, long: bool, hair: Colour, rng: np.random.Generator
) -> None:
    """Hair in front of the forehead, and of the ears if it is long."""
    u = canvas.u / rx
    start, part = rng.uniform(-0.9, -0.45), rng.uniform(-0.3, 0.3)
    fall = rng.uniform(0.5, 1.6) if long else rng.uniform(0.1, 0.6)
    wave = 0.03 * np.sin(u * rng.uniform(6, 25) + rng.uniform(0, 6))
    hairline = start + part * u + fall * u**4 + wave
    canvas.paint(np.maximum(outline, canvas.v - hairline), hair, Part.HAIR)


def _hat(canvas: Canvas, rx: float, rng: np.random.Generator) -> None:
    brim, felt = rng.uniform(-0.75, -0.5), any_rgb(rng) * (1 + 0.08 * clouds(canvas, 6, rng))
    dome = ellipse(canvas, 0, brim, rx + rng.uniform(0.12, 0.3), rng.uniform(0.55, 0.9))
    canvas.paint(np.maximum(dome, canvas.v - brim), felt, Part.HAT)
    edge = ellipse(canvas, 0, brim, rx + rng.uniform(0.2, 0.6), rng.uniform(0.06, 0.14))
    canvas.paint(edge, felt * 0.7, Part.HAT)


def _clutter(canvas: Canvas, skin: Colour, rng: np.random.Generator) -> None:
    """Something held in front of the face, often of its colour, yet background."""
    u, v = rng.uniform(-1.2, 1.2), rng.uniform(0.6, 1.5)
    ru, rv = rng.uniform(0.12, 0.35), rng.uniform(0.12, 0.35)
    colour = skin * 0.95 if rng.random() < 0.4 else any_rgb(rng)
    near = canvas.around(u, v, max(ru, rv))
    near.paint(ellipse(near, u, v, ru, rv), colour, Part.BACKGROUND)
