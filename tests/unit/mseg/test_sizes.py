"""Training and evaluation sizes: rectangles, padding, and masks that each have their own size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from trainings import small

from search.mseg import configure, train
from search.mseg.data import sources
from search.mseg.data.dataset import SegmentationData
from search.mseg.data.fitting import Box, Fitting
from search.mseg.data.labels import IGNORED
from search.mseg.data.sources import load
from search.mseg.data.targets import RaggedMasks
from search.mseg.inference import forward
from search.mseg.learner import build
from search.objective import Run

SIZES = [(40, 56), (96, 64), (33, 90), (64, 64)]


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No test finds another's data in the process."""
    sources._load.cache_clear()
    torch.set_num_threads(1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve images of four sizes with three classes, and as many to validate with."""
    root = tmp_path / "data"
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for kind in ("images", "masks"):
            (root / part / kind).mkdir(parents=True)
        for index in range(12):
            size = SIZES[index % len(SIZES)]
            image = rng.integers(1, 256, (*size, 3), np.uint8)  # no black, so that padding is recognised
            mask = np.zeros(size, np.uint8)
            mask[: size[0] // 2], mask[:, : size[1] // 3] = 1, 2
            Image.fromarray(image).save(root / part / "images" / f"{index:02d}.png")
            Image.fromarray(mask).save(root / part / "masks" / f"{index:02d}.png")
    (root / "dataset.yaml").write_text("classes: [a, b, c]\nmirror_pairs: []\n")
    return root


def config(**changes: Any) -> Any:
    return small(**{"data__source": "folder", "data__image_size": [64, 96], **changes})


def own_masks(data: SegmentationData, root: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(root / "val" / "masks" / f"{name}.png")) for name in data.val.names]


# -- fitting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "into", "box"),
    [
        ((100, 200), (64, 64), Box(16, 0, 32, 64)),
        ((200, 100), (64, 64), Box(0, 16, 64, 32)),
        ((30, 40), (360, 480), Box(0, 0, 360, 480)),
        ((1, 1000), (32, 32), Box(15, 0, 1, 32)),
        ((33, 90), (64, 96), Box(14, 0, 35, 96)),
    ],
)
def test_a_padded_image_lies_in_the_middle_as_large_as_it_can_be(own: Any, into: Any, box: Box) -> None:
    assert Fitting(into, pad=True).box(own) == box
    assert Fitting(into).box(own) == Box(0, 0, *into)


def test_padding_is_black_and_ignored_and_keeps_the_aspect_ratio() -> None:
    image, mask = Image.new("RGB", (60, 30), (9, 8, 7)), Image.new("L", (60, 30), 3)
    fitting = Fitting((64, 64), pad=True)
    pixels, labels = fitting.image(image), fitting.mask(mask)
    inside = np.zeros((64, 64), bool)
    inside[16:48] = True
    assert (labels == np.where(inside, 3, IGNORED)).all()
    assert (pixels == np.where(inside, np.array([9, 8, 7])[:, None, None], 0)).all()
    at_another_size = fitting.mask(mask, (128, 32))  # the same padded square, seen at another size
    assert (at_another_size == np.where(np.arange(128)[:, None] // 32 % 3 == 0, IGNORED, 3)).all()


@pytest.mark.parametrize("fit", ["resize", "pad"])
def test_images_and_masks_come_to_a_rectangle(root: Path, fit: str) -> None:
    data = load(config(data__fit=fit).data, root)
    assert data.train.images.shape == (12, 3, 64, 96) and data.train.masks.shape == (12, 64, 96)
    ignored = data.train.masks == IGNORED
    assert data.ignored == bool(ignored.any()) == (fit == "pad")
    black = (data.train.images == 0).all(1)
    assert torch.equal(black, ignored)


def test_two_equal_sides_are_one_side(root: Path) -> None:
    assert (
        config(data__image_size=[64, 64])
        == config(data__image_size=64)
        == config(data__image_size="[64, 64]")
    )
    assert config(data__image_size="[64, 96]") == config() == config(data__image_size=(64, 96))


# -- scoring ---------------------------------------------------------------------------------------


def test_each_mask_is_scored_at_its_own_size(root: Path) -> None:
    settings = config(data__eval_size="native")
    data = load(settings.data, root)
    masks = own_masks(data, root)
    assert isinstance(data.val_targets, RaggedMasks)
    learner = build(settings, data, torch.device("cpu"))
    with torch.inference_mode():
        found = list(forward(learner, data.val.images, data.val_targets, 3))
        coarse = learner.evaluated.coarse(data.val.images.float() / 255)
    assert len(found) == len(masks)
    for index, ((logits, targets), mask) in enumerate(zip(found, masks, strict=True)):
        np.testing.assert_array_equal(targets[0], mask)
        wanted = torch.nn.functional.interpolate(coarse[index : index + 1], mask.shape, mode="bilinear")
        torch.testing.assert_close(logits, wanted)


def test_padding_is_cropped_before_an_image_is_scored_at_its_own_size(root: Path) -> None:
    settings = config(data__eval_size="native", data__fit="pad")
    data = load(settings.data, root)
    learner = build(settings, data, torch.device("cpu"))

    def position(images: torch.Tensor) -> torch.Tensor:
        """Logits that are each pixel's row and column at the training size."""
        height, width = images.shape[2:]
        rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        return torch.stack([rows, columns, rows]).expand(len(images), -1, -1, -1)

    learner.evaluated.coarse = position  # type: ignore[method-assign]
    for (logits, targets), mask in zip(
        forward(learner, data.val.images, data.val_targets, 3), own_masks(data, root), strict=True
    ):
        np.testing.assert_array_equal(targets[0], mask)
        top, left, height, width = settings.data.fitting.box(mask.shape)
        rows = top + (np.arange(mask.shape[0]) + 0.5) * height / mask.shape[0]
        columns = left + (np.arange(mask.shape[1]) + 0.5) * width / mask.shape[1]
        inner = slice(4, -4)  # at the border an interpolation repeats the last value
        np.testing.assert_allclose(logits[0, 0, inner, 20], rows[inner], rtol=1e-4)
        np.testing.assert_allclose(logits[0, 1, 20, inner], columns[inner], rtol=1e-4)


def test_masks_of_one_size_give_the_same_numbers_in_either_form(root: Path) -> None:
    settings = config(data__eval_size=[50, 70])
    data = load(settings.data, root)
    targets = data.val_targets
    assert isinstance(targets, torch.Tensor) and targets.shape == (12, 50, 70)
    ragged = RaggedMasks.of(targets.flatten(), [(50, 70)] * 12)
    learner = build(settings, data, torch.device("cpu"))
    with torch.inference_mode():
        one, other = (
            torch.cat([logits for logits, _ in forward(learner, data.val.images, each, 3)])
            for each in (targets, ragged)
        )
    assert torch.equal(one, other)


@pytest.mark.parametrize("fit", ["resize", "pad"])
def test_a_training_on_images_of_several_sizes_resumes_and_draws(
    root: Path, tmp_path: Path, fit: str
) -> None:
    settings = config(data__eval_size="native", data__fit=fit, trainer__epochs=2)
    run = Run(tmp_path / "run", data=root)
    first = train(settings, run)
    before = next(first)
    first.close()
    again, last = train(settings, run)
    assert again.resumed and again.score == before.score and last.epoch == 2
    assert (tmp_path / "run" / "overlay.png").exists()


def test_drawn_faces_come_to_a_rectangle() -> None:
    data = load(
        configure({"data.source": "drawn", "data.image_size": [32, 64], "data.drawn_images": 10}).data, None
    )
    assert data.train.images.shape == (9, 3, 32, 64) and data.val_targets.shape == (1, 32, 64)
    assert data.fingerprint["eval_size"] == "32 x 64" and not data.ignored
