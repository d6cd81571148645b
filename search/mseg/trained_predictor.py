"""The stock objective's part in `search predict`: masks, overlays and scores of images in files."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from search.errors import DataError
from search.mseg.config import Config
from search.mseg.data.colours import painted
from search.mseg.data.description import described_in, read_description
from search.mseg.data.labels import Labels
from search.mseg.data.layout import IMAGE_SUFFIXES
from search.mseg.data.masks import read_mask
from search.mseg.data.pictures import read_photo
from search.mseg.metrics import counts, fscores, ious
from search.mseg.predicting import palette_image, segment
from search.mseg.weights import load_checked

OPACITY = 0.5
"""Of the classes' colours over an image; class 0 is not coloured."""


class TrainedPredictor:
    """Trained weights that predict; see `search.objective.MaskPredictor`."""

    suffixes = IMAGE_SUFFIXES

    def __init__(self, config: Config | None, weights: Path, device: str, flip: bool) -> None:
        """Loads the weights.

        Raises:
            DataError: they are missing or damaged, or not of the model that `config` names; or `flip` needs
                to know which classes change places, and they do not say.
        """
        self.trained = load_checked(config, weights)
        self.mirror = self.trained.mirror if flip else None
        self.trained.model.to(device)
        with self.trained.path.open("rb") as file:
            self.identity = hashlib.file_digest(file, "sha256").hexdigest()

    def predict(self, image: Path, mask: Path) -> None:
        """Writes the mask of an image, a PNG of mode P in the image's own size."""
        trained = self.trained
        classes = segment(trained.model, read_photo(image)[0], trained.fitting, self.mirror)
        palette_image(classes, trained.colours.tolist()).save(mask, "PNG")

    def draw(self, image: Path, mask: Path, overlay: Path) -> None:
        """Draws a mask over its image, in the classes' colours."""
        below, classes = np.asarray(read_photo(image)[0]), np.asarray(Image.open(mask))
        above = painted(classes, self.trained.colours)
        opacity = np.where(classes == 0, 0.0, OPACITY)[..., None]
        blended = below * (1 - opacity) + above * opacity
        Image.fromarray(blended.round().astype(np.uint8)).save(overlay, "JPEG", quality=90)

    def score(self, mask: Path, truth: Path) -> dict[str, float]:
        """The challenge's F, and the mean IoU over the classes in the mask or its truth.

        Raises:
            DataError: the truth cannot be read, or has another size.
        """
        count = len(self.trained.classes)
        predicted = np.asarray(Image.open(mask))
        expected = np.asarray(read_mask(truth, _labels(truth, count))[0])
        if predicted.shape != expected.shape:
            sizes = [" x ".join(map(str, each.shape[::-1])) for each in (expected, predicted)]
            raise DataError(f"{truth}: is {sizes[0]} pixels and its image {sizes[1]}; make them the same")
        masks = [torch.from_numpy(each.copy())[None] for each in (predicted, expected)]
        counted = counts(masks[0], masks[1], count)
        return {"f": fscores(counted).nanmean().item(), "iou": ious(counted).nanmean().item()}


def _labels(truth: Path, classes: int) -> Labels:
    """What the values of a mask mean: dataset.yaml of its folder or of the two above says it, if any."""
    for folder in truth.parents[:3]:
        if described := described_in(folder):
            return replace(read_description(described).labels, classes=classes)
    return Labels(classes)
