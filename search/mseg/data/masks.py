"""One mask from its file: a class for every pixel, of palette indices, grey values or colours."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.mseg.data.faults import FileFault
from search.mseg.data.labels import IGNORED, Labels
from search.mseg.data.pictures import LOSSY, MASKS, Noted, Opened, open_picture

STEPS = {"L;2": 85, "L;4": 17}
"""What Pillow multiplies the values of a greyscale file by, for 2 and 4 bits a pixel."""

BLUR = 0.15
"""A mask is blurred if this share of its edges passes through a value in between: JPEG at quality 90 gives
0.24 and more, bilinear resizing 0.38, and masks of CelebAMask-HQ have 0.006 at most."""

EDGES = 50
"""Pixels on edges that such a share needs."""


def read_mask(
    path: Path, labels: Labels, palette: NDArray[np.uint8] | None = None
) -> tuple[Image.Image, Noted]:
    """A mask as an image of mode L whose values are the classes, and IGNORED.

    Args:
        palette: the colours (n, 3) of the indices in another mask.

    Raises:
        FileFault: it cannot be read, is no mask, or has a value or colour that is no class.
    """
    opened = _open_mask(path)
    notes = Noted.TURNED if opened.turned else Noted(0)
    values, restored = _values(path, opened, labels)
    if restored:
        notes |= Noted.RESTORED
    ignored = values == IGNORED
    if ignored.any():
        notes |= Noted.PARTLY_IGNORED
    if ignored.all():
        notes |= Noted.UNLABELLED
    elif not values[~ignored].any():
        notes |= Noted.EMPTY
    if _blurred(values, ignored):
        notes |= Noted.BLURRED
    if palette is not None and _differs(opened.image, palette):
        notes |= Noted.OTHER_PALETTE
    return Image.fromarray(values), notes


def _open_mask(path: Path) -> Opened:
    opened = open_picture(path)
    if opened.format not in MASKS:
        noise = ", since converting this file keeps its noise" if opened.format in LOSSY else ""
        kind = "JPEG" if opened.format == "MPO" else opened.format
        raise FileFault(
            path, f"format {kind}", f"a {kind} file; a mask must be lossless: export it again as PNG{noise}"
        )
    return opened


def mask_colours(path: Path) -> NDArray[np.uint8] | None:
    """The colours (n, 3) of a mask's palette; None if it has none. Raises FileFault as `read_mask`."""
    return _palette(open_picture(path).image)


def _palette(image: Image.Image) -> NDArray[np.uint8] | None:
    colours = image.getpalette("RGB")
    return None if colours is None else np.array(colours, np.uint8).reshape(-1, 3)


def _differs(image: Image.Image, palette: NDArray[np.uint8]) -> bool:
    """Whether an index that occurs has another colour in the image's own palette than in `palette`."""
    own = _palette(image)
    if own is None:
        return False
    found = np.flatnonzero(image.histogram())
    found = found[found < min(len(own), len(palette))]
    return bool((own[found] != palette[found]).any())


def raw_mask(path: Path) -> NDArray[np.integer]:
    """What a mask's file stores: values (H, W), or colours (H, W, 3). Raises FileFault as `read_mask`."""
    opened = _open_mask(path)
    values = _stored(path, opened)
    return values // _step(opened) if values.ndim == 2 else values


def _values(path: Path, opened: Opened, labels: Labels) -> tuple[NDArray[np.uint8], bool]:
    """Classes and IGNORED, (H, W); and whether they were greyscale values of 2 or 4 bits."""
    stored = _stored(path, opened)
    if stored.ndim == 3:
        if labels.colours:
            return _classes_of(path, stored, labels), False
        if (stored != stored[..., :1]).any():
            raise FileFault(
                path,
                "mode",
                f"a mask of mode {opened.image.mode}, in colours; give `colours` in dataset.yaml, "
                "or save classes as palette indices or greyscale",
            )
        stored = stored[..., 0]
    step = _step(opened)
    restored = step > 1 and bool(stored.any())
    values = stored // step
    ignored = values == labels.ignore if isinstance(labels.ignore, int) else np.zeros(values.shape, bool)
    labelled = values[~ignored]
    if labelled.size and labelled.max() >= labels.classes:
        raise FileFault(path, "class", _out_of_range(labelled, labels))
    return np.where(ignored, IGNORED, values).astype(np.uint8), restored


def _step(opened: Opened) -> int:
    return STEPS.get(opened.stored_as, 1)


def _stored(path: Path, opened: Opened) -> NDArray[np.integer]:
    """The numbers in a mask's file: indices of a palette or grey values (H, W), or colours (H, W, 3)."""
    image = opened.image
    remedy = "save classes as palette indices or greyscale"
    if image.mode in ("P", "L", "1") or image.mode.startswith("I;16"):
        # Not convert("L"), which would look the indices up in the palette.
        return np.asarray(image).astype(np.uint16)
    if image.mode not in ("RGB", "RGBA", "LA", "PA") or opened.stored_as.endswith("16B"):
        bits = " with 16 bits" if opened.stored_as.endswith("16B") else ""
        raise FileFault(path, "mode", f"a mask of mode {image.mode}{bits}; {remedy}")
    channels = np.asarray(image)
    if image.mode.endswith("A") and (channels[..., -1] < 255).any():
        raise FileFault(path, "mode", f"a mask of mode {image.mode}, with transparency; {remedy}")
    return channels[..., :3] if image.mode.startswith("RGB") else channels[..., 0].astype(np.uint16)


def _classes_of(path: Path, colours: NDArray[np.integer], labels: Labels) -> NDArray[np.uint8]:
    """The class of each colour (H, W, 3); raises FileFault for one that is not listed."""
    listed = list(labels.colours)
    if isinstance(labels.ignore, tuple):
        listed.append(labels.ignore)
    codes, order = np.unique(colour_codes(np.array(listed)), return_index=True)
    found = colour_codes(colours)
    place = np.searchsorted(codes, found).clip(max=len(codes) - 1)
    unlisted = codes[place] != found
    if unlisted.any():
        raise FileFault(path, "colour", _unlisted(colours[unlisted], labels))
    values = order[place]
    return np.where(values == labels.classes, IGNORED, values).astype(np.uint8)


def colour_codes(colours: NDArray[np.integer]) -> NDArray[np.int32]:
    """One number for each colour (..., 3)."""
    red, green, blue = np.moveaxis(colours.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def _unlisted(colours: NDArray[np.integer], labels: Labels) -> str:
    """What is wrong with a mask that has these colours (n, 3), which dataset.yaml does not list."""
    kinds, counts = np.unique(colours, axis=0, return_counts=True)
    most = kinds[counts.argmax()].astype(int)
    if tuple(most[::-1].tolist()) in labels.colours:
        return (
            f"the colour {most.tolist()} in {counts.max()} pixels is one of dataset.yaml with red and blue "
            "exchanged, as OpenCV orders them; exchange them in the masks or in dataset.yaml"
        )
    distances = np.abs(np.array(labels.colours) - most).sum(1)
    nearest = labels.colours[int(distances.argmin())]
    others = f" and {len(kinds) - 1} more" if len(kinds) > 1 else ""
    return (
        f"the colour {most.tolist()} in {counts.max()} pixels{others} is not among the colours of "
        f"dataset.yaml; the nearest there is {list(nearest)} of class {int(distances.argmin())}: "
        "list it, give it as `ignore`, or correct the mask"
    )


def _blurred(values: NDArray[np.uint8], ignored: NDArray[np.bool_]) -> bool:
    """Whether the edges of a mask are those of a picture: classes were averaged as if they were grey."""
    left, middle, right = (values[:, first : values.shape[1] - 2 + first] for first in range(3))
    edges = left != right
    if ignored.any():  # a line of ignored pixels around things is an edge of its own
        edges &= ~(ignored[:, :-2] | ignored[:, 1:-1] | ignored[:, 2:])
    between = edges & (np.minimum(left, right) < middle) & (middle < np.maximum(left, right))
    return bool(edges.sum() >= EDGES and between.sum() > BLUR * edges.sum())


def _out_of_range(values: NDArray[np.integer], labels: Labels) -> str:
    """What is wrong with a mask that has a value beyond the classes; `values` are those not ignored."""
    most, classes = int(values.max()), labels.classes
    sentence = f"class {most}; the {classes} classes are 0 to {classes - 1}"
    others = values[values < most]
    if most == classes and values.min() > 0:
        return f"{sentence}; if the masks count from 1, subtract 1"
    if most in (255, 65535) and (not others.size or others.max() < classes):
        if classes == 2 and not others.any():
            return f"{sentence}; write 1 in place of {most}, or `ignore: {most}` into dataset.yaml"
        return f"{sentence}; if {most} means 'ignore', write `ignore: {most}` into dataset.yaml"
    return f"{sentence}; correct the mask, or list all classes in dataset.yaml"
