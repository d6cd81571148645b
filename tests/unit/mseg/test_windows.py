"""Crop, cutout, and the label of what moves in from outside, on oblong images."""

import numpy as np
import pytest
import torch
from kornia.geometry.transform import crop_by_boxes

from search.mseg.augment import AugmentConfig, augment
from search.mseg.augment.batch import draw_sizes
from search.mseg.data.labels import IGNORED

HEIGHT, WIDTH = 40, 64
NOTHING = {"flip": 0.0, "rotation": 0.0, "affine": 0.0, "colour": 0.0}


def augmented(images, masks, pairs=(), seed=0, **settings):
    config = AugmentConfig(**{**NOTHING, **settings})
    return augment(images, masks, config, pairs, torch.Generator().manual_seed(seed))


def ramps(count: int) -> torch.Tensor:
    """Images whose channels are the column and the row as shares of the sides, and 0.5."""
    y, x = torch.meshgrid(
        (torch.arange(HEIGHT) + 0.5) / HEIGHT, (torch.arange(WIDTH) + 0.5) / WIDTH, indexing="ij"
    )
    return torch.stack([x, y, torch.full_like(x, 0.5)]).repeat(count, 1, 1, 1)


def blank(count: int, label: int = 7) -> torch.Tensor:
    return torch.full((count, HEIGHT, WIDTH), label, dtype=torch.uint8)


def random_masks(count: int) -> torch.Tensor:
    """One pixel in ten is IGNORED."""
    generator = torch.Generator().manual_seed(1)
    masks = torch.randint(0, 19, (count, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator)
    masks[torch.rand(masks.shape, generator=generator) < 0.1] = IGNORED
    return masks


def test_windows_have_the_areas_and_shapes_asked_for():
    sizes = draw_sizes(4000, 0.2, 0.9, 2.0, np.random.default_rng(0))
    area, stretch = sizes.prod(1), sizes[:, 0] / sizes[:, 1]
    assert sizes.min() > 0 and sizes.max() <= 1
    assert area.min() >= 0.2 and area.max() <= 0.9
    np.testing.assert_allclose(np.histogram(area, 7, (0.2, 0.9))[0] / 4000, 1 / 7, atol=0.02)
    small = np.log(stretch[area < 0.5])  # there every stretch fits
    assert abs(small).max() <= np.log(2) + 1e-9
    np.testing.assert_allclose(
        np.histogram(small, 4, (-np.log(2), np.log(2)))[0] / len(small), 0.25, atol=0.04
    )


def test_a_crop_is_a_window_within_the_image():
    """Bilinear sampling leaves a ramp a ramp: its two ends tell where the window was."""
    count = 300
    images, masks = augmented(ramps(count), blank(count), crop=1, crop_area_min=0.3, crop_aspect=1.5)
    assert (masks == 7).all()  # nothing is outside
    x, y = images[:, 0, 20, 8:-8].numpy(), images[:, 1, 8:-8, 30].numpy()
    wide, high = (x[:, -1] - x[:, 0]) * WIDTH / 47, (y[:, -1] - y[:, 0]) * HEIGHT / 23
    area = wide * high
    assert 0.299 < area.min() < 0.33 and 0.95 < area.max() <= 1.001
    assert np.abs(np.log(wide / high)).max() <= np.log(1.5) + 1e-3
    left, top = x[:, 0] - 8.5 / WIDTH * wide, y[:, 0] - 8.5 / HEIGHT * high
    assert min(left.min(), top.min()) > -1e-3
    assert max((left + wide).max(), (top + high).max()) < 1.001
    assert np.corrcoef(left, top)[0, 1] < 0.9


def test_a_crop_is_kornias_with_the_same_corners():
    count = 8
    positions, _ = augmented(ramps(count), blank(count), crop=1, crop_area_max=0.7, seed=3)
    # Where the window's pixels are: a line through two that are no edges.
    x, y = positions[:, 0, 20] * WIDTH - 0.5, positions[:, 1, :, 30] * HEIGHT - 0.5
    step_x, step_y = (x[:, 40] - x[:, 20]) / 20, (y[:, 30] - y[:, 10]) / 20
    left, top = x[:, 20] - 20 * step_x, y[:, 10] - 10 * step_y
    right, bottom = left + (WIDTH - 1) * step_x, top + (HEIGHT - 1) * step_y
    boxes = torch.stack([left, top, right, top, right, bottom, left, bottom], 1).view(-1, 4, 2)
    whole = torch.tensor([[0.0, 0], [WIDTH - 1, 0], [WIDTH - 1, HEIGHT - 1], [0, HEIGHT - 1]])
    images = torch.rand(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    ours, _ = augmented(images, blank(count), crop=1, crop_area_max=0.7, seed=3)
    expected = crop_by_boxes(images, boxes, whole.expand(count, 4, 2), align_corners=True)
    torch.testing.assert_close(ours[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], atol=1e-3, rtol=0)


def test_a_flip_before_a_crop_mirrors_what_the_window_shows():
    images, _ = augmented(ramps(50), blank(50), flip=1, crop=1)
    assert (images[:, 0, 20, 10] > images[:, 0, 20, 50]).all()
    assert (images[:, 1, 10, 30] < images[:, 1, 30, 30]).all()


@pytest.mark.parametrize(("fill", "outside"), [("background", 0), ("ignored", IGNORED)])
def test_labels_are_those_of_the_nearest_pixel_and_outside_is_filled(fill, outside):
    """Ramps tell where each pixel came from; NumPy rounds that and looks the label up."""
    count = 12
    masks = random_masks(count)
    images, moved = augmented(
        ramps(count), masks, rotation=1, rotation_degrees=40, affine=1, scale=0.3, translation=0.3,
        crop=0.5, fill=fill,
    )  # fmt: skip
    x, y, share = images.numpy().transpose(1, 0, 2, 3)
    x, y = x * WIDTH - 0.5, y * HEIGHT - 0.5
    near_tie = (abs(x % 1 - 0.5) < 0.01) | (abs(y % 1 - 0.5) < 0.01)
    inside = (share > 0.49999) & ~near_tie
    assert inside.mean() > 0.5 and (share == 0).mean() > 0.05
    of = np.broadcast_to(np.arange(count)[:, None, None], inside.shape)[inside]
    expected = masks.numpy()[of, np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)]
    np.testing.assert_array_equal(moved.numpy()[inside], expected)
    assert (expected == IGNORED).any()
    assert (moved.numpy()[share == 0] == outside).all()


def test_a_flip_exchanges_classes_and_not_what_is_ignored():
    masks = random_masks(4)
    _, flipped = augmented(ramps(4), masks, pairs=[(4, 5)], flip=1)
    assert torch.equal(flipped == IGNORED, (masks == IGNORED).flip(-1))
    assert torch.equal(flipped == 4, (masks == 5).flip(-1))


def test_what_moves_in_is_ignored_exactly_where_it_would_be_class_0():
    filled = [
        augmented(ramps(20), blank(20), flip=0.5, rotation=1, affine=1, translation=0.4, fill=fill)
        for fill in ("background", "ignored")
    ]
    assert torch.equal(filled[0][0], filled[1][0])
    assert torch.equal(filled[0][1] == 0, filled[1][1] == IGNORED)
    assert filled[0][1].unique().tolist() == [0, 7] and filled[1][1].unique().tolist() == [7, IGNORED]


def test_cutout_paints_one_rectangle_black_and_the_mask_follows_fill():
    count = 200
    images, kept = augmented(ramps(count), blank(count), cutout=0.5)
    same, ignored = augmented(ramps(count), blank(count), cutout=0.5, fill="ignored")
    black = (images == 0).all(1)
    assert torch.equal(images, same) and (kept == 7).all()
    assert torch.equal(ignored == IGNORED, black) and (ignored[~black] == 7).all()
    assert torch.equal(images[:, 0][~black], ramps(count)[:, 0][~black])
    shares = black.float().mean(dim=(1, 2)).numpy()
    assert 70 < (shares > 0).sum() < 130
    shares = shares[shares > 0]
    # Sides are rounded to whole pixels.
    assert 0.015 < shares.min() < 0.05 and 0.28 < shares.max() < 0.345
    for hidden in black[black.any(dim=(1, 2))]:
        rows, columns = hidden.any(1).nonzero(), hidden.any(0).nonzero()
        height, width = (int(each[-1] - each[0]) + 1 for each in (rows, columns))
        assert height * width == hidden.sum()
        assert 1 / 3.7 < (width / WIDTH) / (height / HEIGHT) < 3.7


def test_cutout_of_everything_and_of_one_pixel():
    all_of_it, _ = augmented(ramps(3), blank(3), cutout=1, cutout_area_min=1.0, cutout_area_max=1.0)
    assert (all_of_it == 0).all()
    images, _ = augmented(ramps(3), blank(3), cutout=1, cutout_area_min=1e-9, cutout_area_max=1e-9)
    assert ((images == 0).all(1).sum(dim=(1, 2)) == 1).all()


def test_what_is_ignored_is_mixed_like_a_class():
    """MixUp takes over the mask of the larger share as a whole, CutMix that of the rectangle."""
    masks = blank(40)
    masks[::2] = IGNORED
    images = (masks == 7).float()[:, None].repeat(1, 3, 1, 1)
    mixed, labels = augmented(images, masks, mixup=1, mixup_alpha=1.0)
    share = mixed[:, 0]  # of an image that is not ignored
    assert torch.equal(labels[share > 0.5], torch.full_like(labels[share > 0.5], 7))
    assert (labels[share < 0.5] == IGNORED).all() and 0 < (share > 0.5).float().mean() < 1
    pasted, labels = augmented(images, masks, cutmix=1)
    assert torch.equal(labels == 7, pasted[:, 0] == 1)
