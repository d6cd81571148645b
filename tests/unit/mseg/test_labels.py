"""What masks mean: ignored values and colours, RGB masks, the colours of pictures; and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from search.errors import DataError
from search.mseg.data import sources
from search.mseg.data.colours import default_colours, painted
from search.mseg.data.labels import IGNORED
from search.mseg.data.sources import DataConfig, load

CLASSES = ["road", "car", "sky"]
COLOURS = [[128, 64, 128], [0, 0, 142], [70, 130, 180]]
WITH_COLOURS = f"classes: {CLASSES}\nmirror_pairs: []\ncolours: {COLOURS}\n"
SMALL = DataConfig.of(image_size=32, val_share=0.5)
LABELS = np.zeros((32, 40), np.uint8)
LABELS[:10], LABELS[20:, 20:] = 2, 1


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No test finds another's data in the process."""
    sources._load.cache_clear()


def folder(tmp_path: Path, masks: list[Any], description: str) -> Path:
    """A folder of these masks, with images of noise."""
    root = tmp_path / "data"
    for kind in ("images", "masks"):
        (root / "train" / kind).mkdir(parents=True)
    for index, mask in enumerate(masks):
        image = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
        image.save(root / "train" / "masks" / f"{index}.png")
        noise = np.random.default_rng(index).integers(0, 256, (image.height, image.width, 3), np.uint8)
        Image.fromarray(noise).save(root / "train" / "images" / f"{index}.png")
    (root / "dataset.yaml").write_text(description)
    return root


def in_colours(labels: np.ndarray, ignored: Any = None) -> np.ndarray:
    pixels = np.array(COLOURS, np.uint8)[np.minimum(labels, 2)]
    if ignored is not None:
        pixels[labels == IGNORED] = ignored
    return pixels


def targets(root: Path) -> list[np.ndarray]:
    return [np.asarray(target) for target in load(SMALL, root).val_targets]


# -- ignored ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [255, 3, 200, 65535])
def test_the_ignored_value_is_no_class(tmp_path: Path, value: int) -> None:
    stored = LABELS.astype(np.uint16 if value > 255 else np.uint8)
    stored[15:18] = value
    root = folder(tmp_path, [stored, stored], f"classes: {CLASSES}\nignore: {value}\n")
    wanted = LABELS.copy()
    wanted[15:18] = IGNORED
    data = load(SMALL, root)
    assert data.ignored and data.train.masks.unique().tolist() == [0, 1, 2, IGNORED]
    np.testing.assert_array_equal(data.val_targets[0], wanted)


def test_data_without_ignored_pixels_say_so(tmp_path: Path) -> None:
    root = folder(tmp_path, [LABELS, LABELS], f"classes: {CLASSES}\nmirror_pairs: []\nignore: 255\n")
    assert not load(SMALL, root).ignored


def test_255_classes_are_the_most_there_are(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8)[:, None].repeat(64, 1)
    names = [f"c{index}" for index in range(255)]
    root = folder(tmp_path, [values, values], f"classes: {names}\nmirror_pairs: []\nignore: 255\n")
    (target,) = targets(root)
    np.testing.assert_array_equal(target, values)
    assert len(np.unique(load(SMALL, root).colours, axis=0)) == 255


# -- colours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_colour_is_a_class(tmp_path: Path, mode: str) -> None:
    labels = LABELS.copy()
    labels[15:18] = IGNORED
    mask = Image.fromarray(in_colours(labels, [255, 255, 255])).convert(mode)
    root = folder(tmp_path, [mask, mask], WITH_COLOURS + "ignore: [255, 255, 255]\n")
    (target,) = targets(root)
    np.testing.assert_array_equal(target, labels)
    assert load(SMALL, root).colours.tolist() == COLOURS


def test_masks_of_indices_may_lie_beside_masks_of_colours(tmp_path: Path) -> None:
    root = folder(tmp_path, [LABELS, in_colours(LABELS)], WITH_COLOURS)
    data = load(SMALL, root)
    assert torch.equal(data.train.masks, data.val.masks)


def test_a_grey_colour_in_an_rgb_mask_is_looked_up_too(tmp_path: Path) -> None:
    mask = np.zeros((32, 32, 3), np.uint8)
    mask[:10] = 2  # a colour, no class
    root = folder(
        tmp_path, [mask, mask], "classes: [a, b]\nmirror_pairs: []\ncolours: [[2, 2, 2], [0, 0, 0]]\n"
    )
    (target,) = targets(root)
    assert (target[:10] == 0).all() and (target[10:] == 1).all()


def test_a_colour_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    mask = in_colours(LABELS)
    mask[0, :7] = [0, 0, 140]
    mask[1, 0] = [9, 9, 9]
    root = folder(tmp_path, [in_colours(LABELS), mask], WITH_COLOURS)
    with pytest.raises(DataError) as error:
        load(SMALL, root)
    assert str(error.value) == (
        f"{root / 'train' / 'masks' / '1.png'}: the colour [0, 0, 140] in 7 pixels and 1 more is not among "
        "the colours of dataset.yaml; the nearest there is [0, 0, 142] of class 1: list it, give it as "
        "`ignore`, or correct the mask"
    )


def test_pictures_have_the_colours_of_the_palette_if_it_tells_classes_apart(tmp_path: Path) -> None:
    mask = Image.fromarray(LABELS, "L").convert("P")
    mask.putdata(LABELS.ravel().tolist())
    mask.putpalette([part for colour in COLOURS for part in colour])
    root = folder(tmp_path, [mask, mask], f"classes: {CLASSES}\nmirror_pairs: []\n")
    assert load(SMALL, root).colours.tolist() == COLOURS
    mask.putpalette([1, 2, 3] * 3)
    mask.save(root / "train" / "masks" / "0.png")
    sources._load.cache_clear()
    assert load(SMALL, root).colours.tolist() == default_colours(3).tolist()


def test_ignored_pixels_are_hatched() -> None:
    masks = np.array([[0, 1], [IGNORED, 1]], np.uint8).repeat(8, 0).repeat(8, 1)
    colours = default_colours(2)
    pixels = painted(masks, colours)
    assert (pixels[:8, :8] == colours[0]).all() and (pixels[:, 8:] == colours[1]).all()
    assert {tuple(pixel) for pixel in pixels[8:, :8].reshape(-1, 3).tolist()} == {(120,) * 3, (220,) * 3}


# -- the fingerprint -------------------------------------------------------------------------------


def test_what_masks_mean_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    plain = f"classes: {CLASSES}\nmirror_pairs: []\n"
    root = folder(tmp_path, [LABELS, LABELS], plain)

    def fingerprint(text: str) -> dict[str, str]:
        (root / "dataset.yaml").write_text(text)
        sources._load.cache_clear()
        return dict(load(SMALL, root).fingerprint)

    before = fingerprint(plain)
    assert before.keys() == {"names", "sizes", "masks", "classes", "split", "eval_size"}
    ignoring, coloured = fingerprint(plain + "ignore: 255\n"), fingerprint(WITH_COLOURS)
    assert {name for name in before if before[name] != ignoring[name]} == set()
    assert ignoring["ignore"] == "255" and "colours" in coloured and "ignore" not in coloured


# -- what is refused -------------------------------------------------------------------------------

WRONG = [
    ("colours: [[1, 2, 3], [4, 5, 6]]", "2:1: colours has 2 for 3 classes; list one for each"),
    ("colours: [[1, 2, 3], [4, 5, 6], [1, 2, 3]]", "colours has [1, 2, 3] for both 'road' and 'sky'"),
    ("colours: [[1, 2, 3], [4, 5], [6, 7, 8]]", "2:22: colours.1: [4, 5] is no colour; write [red, "),
    ("colours: [[1, 2, 3], [4, 5, 256], [6, 7, 8]]", "2:22: colours.1: [4, 5, 256] is no colour"),
    ("colours: red", "2:1: colours: 'red' should be a valid list; list a colour for each class"),
    ("colors: [[1, 2, 3]]", "'colors' is not one of classes, colours, ignore, mirror_pairs (did you mean"),
    ("ignore_index: 255", "'ignore_index' is not one of classes, colours, ignore, mirror_pairs (did you"),
    ("mirror_pairs: [1, 2]", "2:16: mirror_pairs.0: 1 should be a valid list; list pairs of class numbers"),
    ("mirror_pairs: [[car, sky]]", "2:17: mirror_pairs.0.0: 'car' should be a valid integer; list pairs"),
    ("mirror_pairs: [[true, 2]]", "mirror_pairs.0.0: true should be a valid integer"),
    ("ignore: 2", "ignore is 2, which is 'sky'; use 3 or more"),
    ("ignore: -1", "ignore: -1 is neither a value, 0 to 65535, nor a colour"),
    ("ignore: 70000", "ignore: 70000 is neither"),
    ("ignore: true", "ignore: true is neither"),
    ("ignore: white", "ignore: 'white' is neither"),
    ("ignore: [255, 255]", "ignore: [255, 255] is no colour"),
    ("ignore: [255, 255, 255]", "ignore is the colour [255, 255, 255], but there are no `colours`"),
    (f"colours: {COLOURS}\nignore: [0, 0, 142]", "ignore is [0, 0, 142], the colour of 'car'; change one"),
    ("ignore: 255\nmirror_pairs: [[1, 255]]", "mirror_pairs has 255, which is ignored; remove the pair"),
    ("mirror_pairs: [[1, 3]]", "mirror_pairs has 3, and the classes are 0 to 2"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_a_wrong_description_is_refused_in_one_line_with_its_place(
    tmp_path: Path, text: str, sentence: str
) -> None:
    root = folder(tmp_path, [LABELS, LABELS], f"classes: {CLASSES}\n{text}\n")
    with pytest.raises(DataError) as error:
        load(SMALL, root)
    message = str(error.value)
    assert message.startswith(f"{root / 'dataset.yaml'}:") and sentence in message and "\n" not in message


def test_masks_that_are_ignored_throughout_are_pointed_out_and_refused_where_none_is_left(
    tmp_path: Path,
) -> None:
    text = f"classes: {CLASSES}\nmirror_pairs: []\nignore: 255\n"
    nothing = np.full_like(LABELS, 255)
    problems = load(SMALL, folder(tmp_path / "some", [LABELS, LABELS, LABELS, nothing], text)).problems
    assert any("1 of 4 masks are ignored throughout" in problem for problem in problems)
    with pytest.raises(DataError, match=r"dataset\.yaml: ignore leaves no pixel of the training masks"):
        load(SMALL, folder(tmp_path / "all", [nothing, nothing], text))


def test_256_classes_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, [LABELS, LABELS], f"classes: {[f'c{index}' for index in range(256)]}\n")
    with pytest.raises(DataError, match=r"classes: .* should have at most 255 items"):
        load(SMALL, root)


@pytest.mark.parametrize(
    ("mask", "description", "sentence"),
    [
        (
            np.where(LABELS == 1, 255, LABELS),
            "",
            "if 255 means 'ignore', write `ignore: 255`",
        ),
        (
            np.where(LABELS == 1, 7, LABELS),
            "ignore: 255",
            "class 7; the 3 classes are 0 to 2; correct",
        ),
        (in_colours(LABELS), "", "in colours; give `colours` in dataset.yaml"),
        (np.where(LABELS == 1, 255, LABELS), f"colours: {COLOURS}\nignore: [255, 255, 255]", "class 255"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, mask: np.ndarray, description: str, sentence: str
) -> None:
    mask = mask.astype(np.uint8)
    root = folder(tmp_path, [LABELS, mask], f"classes: {CLASSES}\n{description}\n")
    with pytest.raises(DataError) as error:
        load(SMALL, root)
    message = str(error.value)
    assert message.startswith(str(root / "train" / "masks" / "1.png")) and sentence in message
    assert "\n" not in message
