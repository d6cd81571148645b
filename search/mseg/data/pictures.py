"""One image or mask from its file: what the pixels are, whichever way a camera or a tool wrote them.

Pillow's own reading differs in three ways, each of which a study's scores depend on: it leaves the pixels
as the sensor had them where EXIF says that they are shown turned, it clips 16 bits to 8 in greyscale, and
it multiplies greyscale values of 2 and 4 bits by 85 and 17.
"""

from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from search.mseg.data.faults import FileFault

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
"""What Pillow raises on damaged files; a SyntaxError is a broken PNG's."""

MASKS = ("PNG", "BMP", "GIF")
"""Formats of a mask, whatever its suffix says: what is stored in them is what is read."""

LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")

PHOTOS = (*MASKS, *LOSSY, "PPM", "TGA", "TIFF")
"""Formats of an image. Pillow knows more, some of which run other programs."""

STEPS = {"L;2": 85, "L;4": 17}
"""What Pillow multiplies the values of a greyscale file by, for 2 and 4 bits a pixel."""

DARK = 2**12
"""A 16-bit image with no value from here on is nearly black in 8 bits; 12-bit cameras write such."""


BLUR = 0.15
"""A mask is blurred if this share of its edges passes through a value in between: JPEG at quality 90 gives
0.24 and more, bilinear resizing 0.38, and masks of CelebAMask-HQ have 0.006 at most."""

EDGES = 50
"""Pixels on edges that such a share needs."""


class Noted(IntFlag):
    """What an item's files were found to be, in the order in which versions of the cache learned it."""

    TURNED = 1
    SCALED = 2
    RESTORED = 4
    TRANSPARENT = 8
    DARK = 16
    EMPTY = 32
    BLURRED = 64


CHANGED = {
    Noted.TURNED: "turned by EXIF",
    Noted.SCALED: "scaled from 16 bits",
    Noted.RESTORED: "masks of 2 or 4 bits",
}
"""What versions before 2 of the cache decoded to other values."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """An image as it is shown.

    Attributes:
        stored_as: Pillow's raw mode, which has the bits of a value in the file (`L;4`); empty if unknown.
        format: by content, not by name.
    """

    image: Image.Image
    format: str
    stored_as: str
    turned: bool


@cache
def formats() -> tuple[str, ...]:
    """The formats that this Pillow was built with."""
    Image.init()
    return tuple(name for name in PHOTOS if name in Image.OPEN)


def _open(path: Path) -> _Opened:
    try:
        with Image.open(path, formats=formats()) as image:
            kind = image.format or ""
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and kind != "MPO":  # an MPO is a photo with a preview or a second eye's view
                raise FileFault(
                    path, "frames", f"an animation or a document of {frames} pictures; keep one of them"
                )
            arguments = image.tile[0].args if image.tile else ""
            stored_as = arguments if isinstance(arguments, str) else (arguments or [""])[0]
            image.load()
            turned = _turn(image)
            return _Opened(image, kind, stored_as if isinstance(stored_as, str) else "", turned)
    except UnidentifiedImageError as error:
        raise FileFault(path, "no image", "not an image; replace or remove it") from error
    except UNREADABLE as error:
        raise FileFault(path, "damaged", f"a damaged image ({error}); replace or remove it") from error


def _turn(image: Image.Image) -> bool:
    """Turns an image as it is shown; whether that changed it."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation in range(2, 9):
            ImageOps.exif_transpose(image, in_place=True)
            return True
    except Exception:  # broken EXIF raises nearly anything, and the picture is sound
        return False
    return False


def read_photo(path: Path) -> tuple[Image.Image, Noted]:
    """An image in RGB; transparency is ignored. Raises FileFault if it cannot be read."""
    opened = _open(path)
    image, notes = opened.image, Noted.TURNED if opened.turned else Noted(0)
    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        notes |= Noted.SCALED
        if values.max() < DARK:
            notes |= Noted.DARK
        # The high byte, which is what Pillow reads of 16 bits in colour.
        image = Image.fromarray((values >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise FileFault(
            path, f"mode {image.mode}", f"an image of mode {image.mode}; save it with 8 or 16 bits"
        )
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        notes |= Noted.TRANSPARENT
    image.info.pop("transparency", None)  # of a palette it would be warned about
    return image.convert("RGB"), notes


def read_mask(path: Path, classes: int) -> tuple[Image.Image, Noted]:
    """A mask as an image of mode L whose values are the classes.

    Raises:
        FileFault: it cannot be read, is no mask, or has a class beyond `classes`.
    """
    opened = _open(path)
    if opened.format not in MASKS:
        noise = ", since converting this file keeps its noise" if opened.format in LOSSY else ""
        kind = "JPEG" if opened.format == "MPO" else opened.format
        raise FileFault(
            path,
            f"format {kind}",
            f"a {kind} file; a mask must be lossless: export it again as PNG{noise}",
        )
    notes = Noted.TURNED if opened.turned else Noted(0)
    values = _values(path, opened)
    if (step := STEPS.get(opened.stored_as)) and values.any():
        values = values // step
        notes |= Noted.RESTORED
    if not values.any():
        notes |= Noted.EMPTY
    if _blurred(values):
        notes |= Noted.BLURRED
    if values.max() >= classes:
        raise FileFault(path, "class", _out_of_range(values, classes))
    return Image.fromarray(values.astype(np.uint8)), notes


def _values(path: Path, opened: _Opened) -> NDArray[np.integer]:
    """The numbers in a mask's file: indices of a palette, not its colours, or grey values."""
    image = opened.image
    remedy = "save classes as palette indices or greyscale"
    if image.mode in ("P", "L", "1") or image.mode.startswith("I;16"):
        # Not convert("L"), which would look the indices up in the palette.
        return np.asarray(image).astype(np.uint16)
    if image.mode not in ("RGB", "RGBA", "LA", "PA") or opened.stored_as.endswith("16B"):
        bits = " with 16 bits" if opened.stored_as.endswith("16B") else ""
        raise FileFault(path, "mode", f"a mask of mode {image.mode}{bits}; {remedy}")
    channels = np.asarray(image).astype(np.uint16)
    colour = channels[..., :-1] if image.mode.endswith("A") else channels
    if image.mode.endswith("A") and (channels[..., -1] < 255).any():
        raise FileFault(path, "mode", f"a mask of mode {image.mode}, with transparency; {remedy}")
    if (colour != colour[..., :1]).any():
        raise FileFault(path, "mode", f"a mask of mode {image.mode}, in colours; {remedy}")
    return colour[..., 0]


def _blurred(values: NDArray[np.integer]) -> bool:
    """Whether the edges of a mask are those of a picture: classes were averaged as if they were grey."""
    left, middle, right = (values[:, first : values.shape[1] - 2 + first] for first in range(3))
    edges = left != right
    between = (np.minimum(left, right) < middle) & (middle < np.maximum(left, right))
    return bool(edges.sum() >= EDGES and between.sum() > BLUR * edges.sum())


def _out_of_range(values: NDArray[np.integer], classes: int) -> str:
    """What is wrong with a mask that has a value beyond the classes."""
    most = int(values.max())
    sentence = f"class {most}; the {classes} classes are 0 to {classes - 1}"
    others = values[values < most]
    if most == classes and values.min() > 0:
        return f"{sentence}; if the masks count from 1, subtract 1"
    if most == 255 and (not others.size or others.max() < classes):
        if classes == 2 and not others.any():
            return f"{sentence}; write 1 in place of 255"
        return f"{sentence}; 255 does not mean 'ignore' here: write a class in its place"
    return f"{sentence}; correct the mask, or list all classes in dataset.yaml"
