"""Drawn faces: the right classes in the right places, varied, and the same for ever."""

import numpy as np
import pytest

from search.mseg.data import drawn_faces
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS, Part


@pytest.fixture(scope="module")
def drawn():
    return drawn_faces.draw(150, 64, seed=3)


def test_shapes_and_types(drawn):
    images, masks = drawn
    assert images.shape == (150, 3, 64, 64) and images.dtype == np.uint8
    assert masks.shape == (150, 64, 64) and masks.dtype == np.uint8
    assert drawn_faces.draw(0, 32, 0)[0].shape == (0, 3, 32, 32)


def test_every_class_is_there_and_rare_ones_are_rare(drawn):
    present = [(drawn[1] == part).any(axis=(1, 2)).mean() for part in Part]
    assert min(present) > 0.02
    assert max(present[part] for part in (Part.EYEGLASSES, Part.HAT, Part.NECKLACE)) < 0.2
    assert 0.1 < present[Part.EARRING] < 0.4
    assert min(present[part] for part in (Part.SKIN, Part.NOSE, Part.NECK)) == 1


def test_left_is_at_larger_x(drawn):
    columns = np.arange(64)
    for left, right in MIRROR_PAIRS:
        assert CLASSES[left].startswith("left") and CLASSES[right].startswith("right")
        for mask in drawn[1]:
            on_left, on_right = (mask == left).any(0), (mask == right).any(0)
            if on_left.any() and on_right.any():
                assert columns[on_left].mean() > columns[on_right].mean() + 3


def test_faces_differ_and_their_colours_overlap(drawn):
    images, masks = drawn
    assert len({mask.tobytes() for mask in masks}) == len(masks)
    assert len({image.tobytes() for image in images}) == len(images)
    # Colour alone must not tell hair from skin: the brightest hair is brighter than the darkest skin.
    pixels = images.mean(axis=1)
    hair = [pixels[i][masks[i] == Part.HAIR].mean() for i in range(150) if (masks[i] == Part.HAIR).any()]
    skin = [pixels[i][masks[i] == Part.SKIN].mean() for i in range(150)]
    assert np.quantile(hair, 0.8) > np.quantile(skin, 0.3)


def test_a_face_depends_on_seed_and_index_alone(drawn):
    few = drawn_faces.draw(5, 64, seed=3)
    np.testing.assert_array_equal(few[0], drawn[0][:5])
    np.testing.assert_array_equal(few[1], drawn[1][:5])
    assert (drawn_faces.draw(5, 64, seed=4)[1] != few[1]).any(axis=(1, 2)).all()


def test_a_face_is_the_same_at_every_size():
    small, large = drawn_faces.draw(6, 64, seed=0)[1], drawn_faces.draw(6, 192, seed=0)[1]
    assert (large[:, 1::3, 1::3] == small).mean() > 0.95


def test_version_says_when_faces_change():
    """Whoever changes a face raises faces.VERSION and copies the shares: a study's data must stay."""
    shares = np.bincount(drawn_faces.draw(20, 64, seed=0)[1].ravel(), minlength=19) / (20 * 64 * 64)
    assert drawn_faces.VERSION == 1
    np.testing.assert_allclose(shares, SHARES_1, atol=3e-4)  # a rounding elsewhere moves single pixels


SHARES_1 = [0.3136, 0.2780, 0.0196, 0.0069, 0.0037, 0.0036, 0.0055, 0.0060, 0.0072, 0.0076]
SHARES_1 += [0.0029, 0.0057, 0.0084, 0.2703, 0.0096, 0.0013, 0.0007, 0.0255, 0.0240]
