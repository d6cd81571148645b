"""Masks of images in files by trained weights: `search predict`, and what a submission hands in.

An image comes to the model as it does in validation, through the same functions: decoded, turned by its
EXIF orientation, resized or padded. The logits come back to the image's own size before the class is
chosen. Everything is float32, on any device.
"""

from collections.abc import Sequence

import torch
from PIL import Image

from search.mseg.data.fitting import Fitting
from search.mseg.data.labels import Pixels
from search.mseg.models.model import SegmentationModel, upsample

MOST_LOGITS = 2**28
"""Logits at the size of an image that are in memory at once, 1 GiB; beyond, one class after the other."""


@torch.inference_mode()
def segment(
    model: SegmentationModel, image: Image.Image, fitting: Fitting, mirror: Sequence[int] | None = None
) -> Pixels:
    """The classes in an RGB image, (H, W) at its own size.

    Args:
        model: in evaluation mode.
        mirror: for each class, the one that it is in a mirror image. The logits are then the mean of the
            image's and of its mirror image's, mirrored back. None: the image's alone.
    """
    pixels = torch.from_numpy(fitting.image(image))[None].to(next(model.parameters()).device)
    inputs = pixels.float().div_(255)
    logits = model.coarse(inputs)
    if mirror is not None:
        mirrored = model.coarse(inputs.flip(3)).flip(3)
        logits = (logits + mirrored[:, list(mirror)]) / 2
    own = (image.height, image.width)
    if fitting.pad:
        logits = upsample(logits, fitting.size)[(..., *fitting.box(own).slices)]
    return classes_of(logits, own).cpu().numpy()


def classes_of(logits: torch.Tensor, size: tuple[int, int], most: int = MOST_LOGITS) -> torch.Tensor:
    """The class with the highest of `logits` (1, C, h, w) at each pixel of `size`: (H, W) uint8."""
    if logits.shape[1] * size[0] * size[1] <= most:
        return upsample(logits, size)[0].argmax(0).to(torch.uint8)
    highest = upsample(logits[:, :1], size)[0, 0]
    classes = torch.zeros_like(highest, dtype=torch.uint8)
    for index in range(1, logits.shape[1]):
        other = upsample(logits[:, index : index + 1], size)[0, 0]
        classes[other > highest] = index
        highest = torch.maximum(highest, other)
    return classes


def palette_image(mask: Pixels, colours: Sequence[Sequence[int]]) -> Image.Image:
    """A mask as an image of mode P: a pixel's index is its class, and `colours` are for looking at it."""
    image = Image.fromarray(mask)
    image.putpalette([part for colour in colours for part in colour])
    return image
