"""The picture of augmentation, read back pixel by pixel."""

import numpy as np
import pytest
import torch
from PIL import Image

from search.mseg.augment import AugmentConfig, preview
from search.mseg.augment.preview import GAP, SIDE, VERSIONS, draw
from search.mseg.augment.settings import PROBABILITIES
from search.mseg.data.colours import default_colours
from search.mseg.data.dataset import SegmentationData, Split

OFF = dict.fromkeys(PROBABILITIES, 0.0)


def data(height: int = SIDE, width: int = SIDE, count: int = 3) -> SegmentationData:
    """Images whose left half is black, class 1, and whose right half is white, class 2."""
    masks = torch.ones(count, height, width, dtype=torch.uint8)
    masks[:, :, width // 2 :] = 2
    images = ((masks - 1) * 255)[:, None].repeat(1, 3, 1, 1)
    split = Split(images, masks, tuple(map(str, range(count))))
    return SegmentationData(
        train=split,
        val=split,
        val_targets=masks,
        classes=("none", "left", "right"),
        mirror_pairs=((1, 2),),
        source="halves",
        fingerprint={},
    )


def cells(picture: Image.Image, height: int = SIDE, width: int = SIDE, count: int = 3) -> np.ndarray:
    """The pixels of all images and masks: (rows, columns, height, 2 width, 3)."""
    pixels = np.asarray(picture)
    top = pixels.shape[0] - count * (height + GAP)
    rows = [
        [
            pixels[top + row * (height + GAP) :][:height, GAP + column * (2 * width + GAP) :][
                :, : 2 * width
            ]
            for column in range(1 + VERSIONS)
        ]
        for row in range(count)
    ]
    return np.array(rows)


def test_with_nothing_on_every_version_is_the_original() -> None:
    found = cells(draw(data(), AugmentConfig(**OFF)))
    black, white = np.zeros(3), np.full(3, 255)
    expected = np.array([black, white, *default_colours(3)[1:]]).repeat(SIDE // 2, 0)
    assert (found == expected).all()


def test_versions_are_what_training_sees() -> None:
    """Everything is flipped: image and mask in mirror image, and the labels exchanged."""
    found = cells(draw(data(), AugmentConfig(**{**OFF, "flip": 1.0})))
    image, mask = found[..., :SIDE, :], found[..., SIDE:, :]
    assert (image[:, 1:] == image[:, :1, :, ::-1]).all() and (image[:, 1:] != image[:, :1]).any()
    assert (mask[:, 1:] == mask[:, :1]).all()  # the halves and their two labels changed places


@pytest.mark.parametrize("fill", ["background", "ignored"])
def test_what_moves_in_is_painted_as_background_or_hatched(fill: str) -> None:
    config = AugmentConfig(**{**OFF, "affine": 1.0}, scale=0.0, translation=0.5, fill=fill)
    mask = cells(draw(data(), config))[:, 1:, :, SIDE:]
    found = {tuple(colour) for colour in np.unique(mask.reshape(-1, 3), axis=0).tolist()}
    classes = {tuple(colour) for colour in default_colours(3).tolist()}
    hatches = {(120, 120, 120), (220, 220, 220)}
    assert found == (
        classes if fill == "background" else classes - {tuple(default_colours(3)[0])} | hatches
    )


def test_oblong_images_keep_their_shape() -> None:
    picture = draw(data(24, 48), AugmentConfig(**OFF))
    found = cells(picture, SIDE // 2, SIDE)
    assert (found[:, :, :, SIDE : SIDE + SIDE // 2] == default_colours(3)[1]).all()
    assert (found[:, :, :, SIDE + SIDE // 2 :] == default_colours(3)[2]).all()


def test_the_title_names_what_is_on() -> None:
    config = AugmentConfig(**{**OFF, "rotation": 0.25, "blur": 1.0}, blur_sigma_max=3.0, fill="ignored")
    assert preview.title(config) == (
        "On, with probability: rotation 0.25 (rotation_degrees 15); blur 1 (blur_sigma_min 0.1, "
        "blur_sigma_max 3). What moves in from outside: ignored."
    )
    assert preview.title(AugmentConfig(**OFF)).startswith("On, with probability: nothing.")
