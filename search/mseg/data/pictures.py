"""One picture from its file: what the pixels are, whichever way a camera or a tool wrote them.

Pillow's own reading differs in three ways, each of which a study's scores depend on: it leaves the pixels
as the sensor had them where EXIF says that they are shown turned, it clips 16 bits to 8 in greyscale, and
it multiplies greyscale values of 2 and 4 bits by 85 and 17.
"""

from contextlib import suppress
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
"""Formats of a mask, whatever its suffix: they are lossless."""

LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")

PHOTOS = (*MASKS, *LOSSY, "PPM", "TGA", "TIFF")
"""Formats of an image. Pillow knows more, some of which run other programs."""

DARK = 2**12
"""A 16-bit image with no value from here on is nearly black in 8 bits; 12-bit cameras write such."""


class Noted(IntFlag):
    """What an item's files were found to be, in the order in which versions of the cache learned it."""

    TURNED = 1
    SCALED = 2
    RESTORED = 4
    TRANSPARENT = 8
    DARK = 16
    EMPTY = 32
    BLURRED = 64
    PARTLY_IGNORED = 128
    OTHER_PALETTE = 256
    UNLABELLED = 512


Notes = NDArray[np.uint16]
"""Flags of `Noted`; versions before OTHER_PALETTE have cached them as uint8."""

CHANGED = {
    Noted.TURNED: "turned by EXIF",
    Noted.SCALED: "scaled from 16 bits",
    Noted.RESTORED: "masks of 2 or 4 bits",
}
"""What versions before 2 of the cache decoded to other values."""


@dataclass(frozen=True, slots=True)
class Opened:
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


def open_picture(path: Path) -> Opened:
    """The image in a file, as it is shown. Raises FileFault if it cannot be read."""
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
            return Opened(image, kind, stored_as if isinstance(stored_as, str) else "", turned)
    except UnidentifiedImageError as error:
        raise FileFault(path, "no image", "not an image; replace or remove it") from error
    except UNREADABLE as error:
        raise FileFault(path, "damaged", f"a damaged image ({error}); replace or remove it") from error


def _turn(image: Image.Image) -> bool:
    """Turns an image as it is shown; whether that changed it."""
    with suppress(Exception):  # broken EXIF raises nearly anything, and the picture is sound
        if image.getexif().get(ExifTags.Base.Orientation) in range(2, 9):
            ImageOps.exif_transpose(image, in_place=True)
            return True
    return False


def read_photo(path: Path) -> tuple[Image.Image, Noted]:
    """An image in RGB; transparency is ignored. Raises FileFault if it cannot be read."""
    opened = open_picture(path)
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
