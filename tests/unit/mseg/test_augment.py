"""Augmentation against plain NumPy and against kornia's own transformations."""

from pathlib import Path

import kornia.augmentation as K
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from search.mseg.augment import AugmentConfig, augment
from search.mseg.augment.geometry import grid_of, sources
from search.mseg.augment.photometric import PHOTOMETRIC
from search.mseg.data import drawn_faces
from search.mseg.data.celebamask import MIRROR_PAIRS

NOTHING = {"flip": 0.0, "rotation": 0.0, "affine": 0.0, "colour": 0.0}
EVERYTHING = dict.fromkeys(
    ("flip", "rotation", "affine", "crop", "colour", *PHOTOMETRIC, "cutout", "mixup", "cutmix"), 1.0
)


def only(**settings: float) -> AugmentConfig:
    return AugmentConfig(**{**NOTHING, **settings})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def exchanged(mask: np.ndarray) -> np.ndarray:
    """The reference: every left class becomes its right one and the other way round."""
    out = mask.copy()
    for left, right in MIRROR_PAIRS:
        out[mask == left], out[mask == right] = right, left
    return out


@pytest.fixture(scope="module")
def batch():
    images, masks = drawn_faces.draw(24, 64, seed=0)
    return torch.from_numpy(images) / 255, torch.from_numpy(masks)


def painted(masks: torch.Tensor) -> torch.Tensor:
    """Images whose every pixel shows its own class: (B, 3, H, W) from (B, H, W)."""
    return (masks.float() / 18)[:, None].repeat(1, 3, 1, 1)


def inner(masks: torch.Tensor) -> torch.Tensor:
    """Where all of 5 x 5 neighbours are there and of one class, so that interpolation cannot mix."""
    whole = masks.float()[:, None]
    high, low = F.max_pool2d(whole, 5, 1), -F.max_pool2d(-whole, 5, 1)
    return F.pad((high == low)[:, 0], (2, 2, 2, 2))


def test_without_probability_nothing_changes(batch):
    images, masks = augment(*batch, only(), MIRROR_PAIRS, generator())
    assert torch.equal(images, batch[0]) and torch.equal(masks, batch[1])


@pytest.mark.parametrize(("name", "settings"), [("default", {}), ("mixed", {"mixup": 0.5, "cutmix": 0.5})])
def test_what_is_new_leaves_what_older_configs_give(name, settings):
    """The file has what commit b4df8d8, before there were others, made of four faces by three seeds.

    Of the images it keeps every fourth pixel each way; rounding differs between processors.
    """
    faces, masks = drawn_faces.draw(4, 32, seed=0)
    faces, masks = torch.from_numpy(faces) / 255, torch.from_numpy(masks)
    with np.load(Path(__file__).parents[2] / "data" / "augment" / "default.npz") as kept:
        for seed in range(3):
            images, moved = augment(faces, masks, AugmentConfig(**settings), MIRROR_PAIRS, generator(seed))
            np.testing.assert_array_equal(moved, kept[f"{name}_masks"][seed])
            np.testing.assert_allclose(images[..., ::4, ::4], kept[f"{name}_images"][seed], atol=1e-5)


def test_the_batch_given_is_left_alone(batch):
    before = [each.clone() for each in batch]
    config = AugmentConfig(**EVERYTHING)
    images, masks = augment(*batch, config, MIRROR_PAIRS, generator())
    assert torch.equal(batch[0], before[0]) and torch.equal(batch[1], before[1])
    assert images.shape == batch[0].shape and images.dtype == torch.float32
    assert masks.shape == batch[1].shape and masks.dtype == torch.uint8
    assert images.min() >= 0 and images.max() <= 1 and masks.max() < 19


def test_a_flip_is_an_exact_mirror_image_with_left_and_right_exchanged(batch):
    images, masks = augment(*batch, only(flip=1), MIRROR_PAIRS, generator())
    np.testing.assert_array_equal(images, batch[0].numpy()[..., ::-1])
    np.testing.assert_array_equal(masks, exchanged(batch[1].numpy()[..., ::-1]))
    assert (masks.numpy() != batch[1].numpy()[..., ::-1]).any()  # there was something to exchange


def test_a_flipped_face_keeps_its_left_eye_at_larger_x(batch):
    _, masks = augment(*batch, only(flip=1), MIRROR_PAIRS, generator())
    columns = np.arange(64)
    for mask in masks.numpy():
        for left, right in MIRROR_PAIRS:
            on_left, on_right = (mask == left).any(0), (mask == right).any(0)
            if on_left.any() and on_right.any():
                assert columns[on_left].mean() > columns[on_right].mean()


def test_some_are_flipped_and_the_others_are_not_touched(batch):
    images, masks = augment(*batch, only(flip=0.5), MIRROR_PAIRS, generator())
    flipped = 0
    for image, mask, old_image, old_mask in zip(images, masks, *batch, strict=True):
        if torch.equal(image, old_image):
            assert torch.equal(mask, old_mask)
        else:
            flipped += 1
            np.testing.assert_array_equal(image, old_image.numpy()[..., ::-1])
            np.testing.assert_array_equal(mask, exchanged(old_mask.numpy()[..., ::-1]))
    assert 5 <= flipped <= 19


@pytest.mark.parametrize(("flip", "crop"), [(0.0, 0), (0.5, 0), (1.0, 0), (0.5, 0.5), (1.0, 1)])
def test_mask_moves_with_image_and_labels_change_once(flip, crop):
    """With images that show their class, what the image shows afterwards is what the mask says.

    In a mirrored image the mask says the other side's class, exchanged once and not twice; every image
    must fit one of the two.
    """
    blocks = torch.randint(0, 19, (24, 8, 8), dtype=torch.uint8, generator=generator())
    masks = blocks.repeat_interleave(12, 1).repeat_interleave(12, 2)
    config = only(
        flip=flip, rotation=1, rotation_degrees=30, affine=1, scale=0.3, translation=0.2, crop=crop
    )
    images, moved = augment(painted(masks), masks, config, MIRROR_PAIRS, generator(1))
    shown = (images[:, 0] * 18).round().to(torch.uint8).numpy()
    mirrored = 0
    for image, mask, sure in zip(shown, moved.numpy(), inner(moved).numpy(), strict=True):
        assert sure.mean() > 0.3
        if (image == mask)[sure].all():
            continue
        assert (exchanged(image) == mask)[sure].all()
        mirrored += 1
    assert mirrored == {0.0: 0, 1.0: 24}.get(flip, mirrored) and (flip != 0.5 or 5 <= mirrored <= 19)


def test_one_sampling_is_kornias_three_transformations_in_turn():
    """Flip, RandomRotation and RandomAffine, each of kornia's with its parameters given."""
    count, height, width = 16, 48, 64
    rng = np.random.default_rng(0)
    flipped = rng.random(count) < 0.5
    degrees, factor = rng.uniform(-30, 30, count), rng.uniform(0.7, 1.3, count)
    shift = rng.uniform(-0.2, 0.2, (count, 2))

    image = torch.zeros(count, 3, height, width)
    flip, rotation, affine = (
        K.RandomHorizontalFlip(p=1),
        K.RandomRotation(1.0, p=1),
        K.RandomAffine(1.0, p=1),
    )
    flip(image)
    rotation(image, params={**rotation.forward_parameters(image.shape), "degrees": torch.tensor(degrees)})
    parameters = affine.forward_parameters(image.shape)
    parameters["angle"] = torch.zeros(count)
    parameters["scale"] = torch.tensor(factor)[:, None].repeat(1, 2)
    parameters["translations"] = torch.tensor(shift * (width, height))
    affine(image, params=parameters)
    forward = affine.transform_matrix @ rotation.transform_matrix
    forward = torch.where(torch.tensor(flipped)[:, None, None], forward @ flip.transform_matrix, forward)

    # Positions of output pixels in the input, by NumPy from kornia's matrices and from ours.
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x, y, np.ones_like(x)], -1).astype(np.float64)
    expected = np.einsum("nij,hwj->nhwi", np.linalg.inv(forward.double().numpy()), pixels)[..., :2]
    maps = torch.from_numpy(sources(height, width, flipped, degrees, factor, shift)[:, :2])
    ours = ((grid_of(maps, height, width).numpy() + 1) * (width, height) - 1) / 2
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_the_grid_is_that_of_torch():
    theta = torch.randn(3, 2, 3, generator=generator())
    expected = F.affine_grid(theta, [3, 1, 20, 30], align_corners=False)
    torch.testing.assert_close(grid_of(theta, 20, 30), expected, atol=1e-6, rtol=0)


def test_what_moves_in_is_black_background(batch):
    ones, classes = torch.ones_like(batch[0]), torch.full_like(batch[1], 7)
    images, masks = augment(ones, classes, only(affine=1, scale=0, translation=0.4), (), generator())
    outside = masks == 0
    assert outside.any() and set(masks.unique().tolist()) == {0, 7}
    assert (images[:, 0][outside] < 1).all()
    assert (images.amax(1)[inner(masks) & outside] == 0).all()


def test_a_background_that_moves_in_is_not_exchanged():
    images, masks = torch.ones(8, 3, 32, 32), torch.ones(8, 32, 32, dtype=torch.uint8)
    config = only(flip=1, affine=1, scale=0, translation=0.5)
    _, moved = augment(images, masks, config, [(0, 1)], generator())
    # Class 1 became 0 by the flip, and 0 is what moves in: had it been exchanged after, 1 would be left.
    assert (moved == 0).all()


def test_changes_of_colour_stay_within_their_strength():
    """Read back from 400 flat images: brightness adds, contrast multiplies, saturation leaves grey."""
    count, level = 400, 0.5
    images = torch.full((count, 3, 8, 8), level)
    masks = torch.zeros(count, 8, 8, dtype=torch.uint8)

    def change(**settings: float) -> np.ndarray:
        strengths = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
        out, _ = augment(images, masks, only(colour=1, **{**strengths, **settings}), (), generator())
        assert out.std(dim=(1, 2, 3)).max() < 1e-6
        return out[:, 0, 0, 0].numpy()

    added = change(brightness=0.2) - level
    assert -0.2 <= added.min() < -0.18 and 0.18 < added.max() <= 0.2001
    factors = change(contrast=0.2) / level
    assert 0.8 <= factors.min() < 0.82 and 1.18 < factors.max() <= 1.2001
    np.testing.assert_allclose(change(saturation=1.0), level, atol=1e-6)


def test_saturation_scales_that_of_hsv(batch):
    images, _ = augment(*batch, only(colour=1, brightness=0, contrast=0, saturation=0.5), (), generator())
    old, new = batch[0].numpy(), images.numpy()
    np.testing.assert_allclose(new.max(1), old.max(1), atol=1e-6)  # HSV's value
    saturation = [1 - pixels.min(1) / np.maximum(pixels.max(1), 1e-9) for pixels in (old, new)]
    for before, after in zip(*saturation, strict=True):
        free = (before > 0.1) & (after < 0.95)  # not at the limit of 1
        factor = after[free] / before[free]
        assert 0.5 <= np.median(factor) <= 1.5
        np.testing.assert_allclose(factor, np.median(factor), rtol=1e-3)


def test_colours_leave_masks_and_half_the_images(batch):
    images, masks = augment(*batch, only(colour=0.5), MIRROR_PAIRS, generator())
    assert torch.equal(masks, batch[1])
    same = sum(torch.equal(new, old) for new, old in zip(images, batch[0], strict=True))
    assert 5 <= same <= 19


def test_mixup_is_a_weighted_sum_with_the_label_of_the_larger_share():
    count = 32
    images = 2.0 ** torch.arange(count)[:, None, None, None].expand(count, 3, 8, 8).double()
    images = images.float() / 2.0**count
    masks = torch.arange(count, dtype=torch.uint8)[:, None, None].expand(count, 8, 8).contiguous()
    mixed, labels = augment(images, masks, only(mixup=1, mixup_alpha=1.0), (), generator())
    own = images[:, 0, 0, 0].numpy()
    kept = 0
    for index, (value, label) in enumerate(zip(mixed[:, 0, 0, 0].numpy(), labels[:, 0, 0], strict=True)):
        partners = [p for p in range(count) if p != index]
        # value = w own + (1 - w) partner; the label tells the partner only where it weighs more.
        share = {p: (value - own[p]) / (own[index] - own[p]) for p in partners}
        if label == index:
            kept += 1
            assert any(0.5 <= w <= 1.0001 for w in share.values()) or value == own[index]
        else:
            assert -0.0001 <= share[int(label)] < 0.5
    assert 5 < kept < 27 and (labels == labels[:, :1, :1]).all()


def test_cutmix_pastes_one_rectangle_of_one_image_and_its_mask():
    count, height, width = 200, 24, 40
    masks = torch.arange(count, dtype=torch.uint8)[:, None, None].expand(count, height, width).contiguous()
    images = (masks.float() / count)[:, None].repeat(1, 3, 1, 1)
    mixed, labels = augment(images, masks, only(cutmix=1), (), generator())
    np.testing.assert_allclose(mixed[:, 1].numpy() * count, labels.numpy(), atol=1e-5)
    shares = []
    for index, label in enumerate(labels.numpy()):
        pasted = label != index
        shares.append(pasted.mean())
        if pasted.any():
            assert len(np.unique(label[pasted])) == 1
            rows, columns = np.flatnonzero(pasted.any(1)), np.flatnonzero(pasted.any(0))
            box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
            assert box == pasted.sum()
    assert 0.43 < np.mean(shares) < 0.57  # Beta(1, 1) keeps half on average


def test_one_generator_gives_one_result_and_its_state_goes_on(batch):
    config = AugmentConfig(mixup=0.3, cutmix=0.3)
    first, again = generator(5), generator(5)
    for _ in range(2):
        one, two = (augment(*batch, config, MIRROR_PAIRS, each) for each in (first, again))
        assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    state = first.get_state()
    third = augment(*batch, config, MIRROR_PAIRS, first)
    assert not torch.equal(third[0], one[0])
    later = torch.Generator()
    later.set_state(state)
    assert torch.equal(augment(*batch, config, MIRROR_PAIRS, later)[0], third[0])


def test_without_a_generator_torchs_seed_decides(batch):
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augment(*batch, AugmentConfig(), MIRROR_PAIRS)[0])
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_oblong_images_and_single_ones():
    for shape in ((1, 64, 32), (3, 32, 96)):
        masks = torch.randint(0, 19, shape, dtype=torch.uint8, generator=generator())
        images, moved = augment(
            painted(masks), masks, AugmentConfig(**EVERYTHING), MIRROR_PAIRS, generator()
        )
        assert images.shape == (shape[0], 3, *shape[1:]) and moved.shape == shape


@pytest.mark.parametrize(
    "wrong",
    [{"flip": 1.5}, {"rotation_degrees": -1}, {"scale": 1.0}, {"mixup_alpha": 0}, {"brightness": 2},
     {"cutmix_alpha": float("inf")}, {"colour": float("nan")}, {"hues": 0.1}, {"hue": -0.1},
     {"hue_shift": 0.6}, {"crop_area_min": 0.0}, {"crop_aspect": 0.9}, {"fill": "black"}, {"noise_sd": 2},
     {"blur_sigma_max": 11}],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        AugmentConfig(**wrong)


@pytest.mark.gpu
def test_nothing_waits_for_the_device(batch):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    images, masks = (each.cuda() for each in batch)
    config = AugmentConfig(**dict.fromkeys(EVERYTHING, 0.5), fill="ignored")
    augment(images, masks, config, MIRROR_PAIRS, generator())
    torch.cuda.set_sync_debug_mode("error")
    try:
        augment(images, masks, config, MIRROR_PAIRS, generator())
    finally:
        torch.cuda.set_sync_debug_mode("default")
