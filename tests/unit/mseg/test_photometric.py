"""What changes an image alone, against colorsys, NumPy and kornia's own operations."""

import colorsys
import math

import kornia
import numpy as np
import pytest
import torch

from search.document.options import options_of
from search.mseg.augment import AugmentConfig, augment
from search.mseg.augment.photometric import PHOTOMETRIC, blur, gamma, hue, noise

NOTHING = {"flip": 0.0, "rotation": 0.0, "affine": 0.0, "colour": 0.0}


@pytest.fixture(scope="module")
def images():
    return torch.rand(6, 3, 40, 56, generator=torch.Generator().manual_seed(0))


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_hue_is_turned_as_colorsys_turns_it(images):
    turned = hue(images, rng(), hue_shift=0.3)
    shifts = rng().uniform(-0.3, 0.3, len(images))
    for image, out, shift in zip(images, turned, shifts, strict=True):
        for old, new in zip(image[:, ::9, ::9].flatten(1).T, out[:, ::9, ::9].flatten(1).T, strict=True):
            h, s, v = colorsys.rgb_to_hsv(*old.tolist())
            assert new.tolist() == pytest.approx(colorsys.hsv_to_rgb((h + shift) % 1, s, v), abs=1e-5)


def test_gamma_is_kornias(images):
    exponents = torch.tensor(rng().uniform(0.5, 2.0, len(images)), dtype=torch.float32)
    expected = kornia.enhance.adjust_gamma(images, exponents)
    torch.testing.assert_close(gamma(images, rng(), gamma_min=0.5, gamma_max=2.0), expected)
    assert 0.5 <= exponents.min() < 1 < exponents.max() <= 2


@pytest.mark.parametrize("most", [0.5, 2.0, 5.0])
def test_blur_is_kornias(images, most):
    sigma = torch.tensor(rng().uniform(0.2, most, len(images)), dtype=torch.float32)
    size = 2 * math.ceil(3 * most) + 1
    expected = kornia.filters.gaussian_blur2d(images, size, sigma[:, None].repeat(1, 2))
    ours = blur(images, rng(), blur_sigma_min=0.2, blur_sigma_max=most)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_the_widest_blur_fits_the_smallest_image():
    flat = torch.full((2, 3, 32, 32), 0.25)
    torch.testing.assert_close(blur(flat, rng(), blur_sigma_min=10.0, blur_sigma_max=10.0), flat)


def test_noise_has_its_standard_deviation_and_stays_within_0_and_1():
    grey = torch.full((4, 3, 64, 64), 0.5)
    added = noise(grey, rng(), noise_sd=0.1) - grey
    assert added.std().item() == pytest.approx(0.1, rel=0.02)
    assert added.mean().item() == pytest.approx(0, abs=0.002)
    assert not torch.equal(added[0], added[1]) and not torch.equal(added[0, 0], added[0, 1])
    white = noise(torch.ones_like(grey), rng(), noise_sd=0.1)
    torch.testing.assert_close(white, (1 + added).clamp(0, 1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", PHOTOMETRIC)
def test_some_images_change_and_no_mask_does(images, name):
    masks = torch.randint(0, 19, (6, 40, 56), dtype=torch.uint8)
    many, labels = images.repeat(8, 1, 1, 1), masks.repeat(8, 1, 1)
    out, same = augment(
        many, labels, AugmentConfig(**NOTHING, **{name: 0.5}), (), torch.Generator().manual_seed(1)
    )
    changed = (out != many).any(dim=(1, 2, 3)).sum()
    assert 12 <= changed <= 36 and torch.equal(same, labels)
    assert out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize("name", PHOTOMETRIC)
def test_every_option_reaches_its_entry(images, name):
    masks = torch.zeros(6, 40, 56, dtype=torch.uint8)

    def out(**settings: float) -> torch.Tensor:
        config = AugmentConfig(**NOTHING, **{name: 1.0}, **settings)
        return augment(images, masks, config, (), torch.Generator().manual_seed(1))[0]

    for option, (_, default) in options_of(PHOTOMETRIC[name]).items():
        assert torch.equal(out(**{option: default}), out())
        assert not torch.equal(out(**{option: default * 0.9}), out()), option


def test_the_settings_of_two_entries_do_not_meet():
    names = [*PHOTOMETRIC, *(option for entry in PHOTOMETRIC.values() for option in options_of(entry))]
    given = set(AugmentConfig.__bases__[0].model_fields)
    assert len(names) == len(set(names)) and not given & set(names)
    assert set(AugmentConfig.model_fields) == given | set(names)


def test_switching_one_on_leaves_the_random_numbers_of_the_others(images):
    masks = torch.randint(0, 19, (6, 40, 56), dtype=torch.uint8)
    on = {"gamma": 0.5, "crop": 0.5, "mixup": 0.5, "cutmix": 0.5}
    results = [
        augment(images, masks, AugmentConfig(**on, **added), (), torch.Generator().manual_seed(2))
        for added in ({}, {"noise": 1.0, "noise_sd": 0.0, "hue": 1.0, "hue_shift": 0.0})
    ]
    torch.testing.assert_close(results[0][0], results[1][0], atol=1e-5, rtol=0)
    assert torch.equal(results[0][1], results[1][1])
