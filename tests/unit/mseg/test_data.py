"""The data: split, decoding, faults, fingerprint; on small folders of drawn faces, and the real set."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from search.errors import DataError, SpaceError
from search.mseg.data import cache, drawn_faces, folder, layout, sources
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.decoding import decode
from search.mseg.data.fitting import Fitting
from search.mseg.data.labels import Labels
from search.mseg.data.layout import ImageFiles
from search.mseg.data.problems import mirror_pairs
from search.mseg.data.sources import DataConfig, describe, load
from search.mseg.data.targets import RaggedMasks

COUNT, SIDE = 20, 64
IMAGES, MASKS = drawn_faces.draw(COUNT, SIDE, seed=0)
SMALL = DataConfig.of(image_size=32)


@pytest.fixture(autouse=True)
def fresh():
    """No test finds another's data in the process."""
    sources._load.cache_clear()


@pytest.fixture
def root(tmp_path) -> Path:
    """A data folder of 20 faces: JPEG images, palette masks, and names that do not sort by number."""
    root = tmp_path / "data"
    write(root / "train", range(COUNT))
    return root


def write(part: Path, which) -> None:
    (part / "images").mkdir(parents=True)
    (part / "masks").mkdir()
    for index in which:
        name = f"{index * 7 % COUNT:02d}-face{index}"
        Image.fromarray(IMAGES[index].transpose(1, 2, 0)).save(part / "images" / f"{name}.jpg", quality=95)
        save_palette(MASKS[index], part / "masks" / f"{name}.png")


def save_palette(mask: np.ndarray, path: Path) -> None:
    """As indices of a palette whose colours say something else."""
    image = Image.fromarray(mask).convert("P")
    image.putdata(mask.ravel().tolist())
    image.putpalette([value for index in range(256) for value in (255 - index, index * 7 % 256, 40)])
    image.save(path)


def test_an_image_and_its_mask_may_have_either_form_of_an_accent(root: Path) -> None:
    """macOS archives have e and an accent (NFD) where most tools write one letter (NFC)."""
    image, mask = first(root, "images"), first(root, "masks")
    image.rename(image.with_name("Zo\u00eb.jpg"))
    mask.rename(mask.with_name("Zoe\u0308.png"))
    pairs = layout.scan(root).train
    assert len(pairs) == COUNT and pairs[-1].name == "Zo\u00eb" and pairs[-1].mask.exists()
    mask.with_name("Zoe\u0308.png").rename(mask.with_name("Zo\u00e9.png"))
    with pytest.raises(DataError, match="no mask"):
        layout.scan(root)


def first(root: Path, kind: str) -> Path:
    return sorted((root / "train" / kind).iterdir())[0]


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


# What is loaded


def test_the_split_is_that_of_the_history(root):
    loaded = load(SMALL, root)
    names = sorted(path.stem for path in (root / "train" / "images").iterdir())
    order = np.random.RandomState(42).permutation(COUNT)
    assert loaded.train.names == tuple(names[i] for i in order[:18])
    assert loaded.val.names == tuple(names[i] for i in order[18:])
    assert loaded.classes == CLASSES and loaded.mirror_pairs == MIRROR_PAIRS
    assert loaded.source == str(root)


def test_images_and_masks_are_what_the_files_hold(root):
    loaded = load(DataConfig.of(image_size=32, eval_size="native"), root)
    for part in (loaded.train, loaded.val):
        assert part.images.dtype == part.masks.dtype == torch.uint8
        assert part.images.shape == (len(part.names), 3, 32, 32)
        assert part.masks.shape == (len(part.names), 32, 32)
        for image, mask, name in zip(part.images, part.masks, part.names, strict=True):
            index = int(name.split("face")[1])
            averaged = IMAGES[index].reshape(3, 32, 2, 32, 2).mean((2, 4))  # the antialiased size
            assert np.abs(image.numpy() - averaged).mean() < 8
            candidates = MASKS[index].reshape(32, 2, 32, 2).transpose(0, 2, 1, 3).reshape(32, 32, 4)
            assert (candidates == mask.numpy()[..., None]).any(-1).all()  # nearest: one of those it covers
    for target, name in zip(loaded.val_targets, loaded.val.names, strict=True):
        np.testing.assert_array_equal(target, MASKS[int(name.split("face")[1])])


@pytest.mark.parametrize(("eval_size", "side"), [("train", 32), ("native", 64), (48, 48), (32, 32)])
def test_targets_have_the_evaluation_size(root, eval_size, side):
    loaded = load(DataConfig.of(image_size=32, eval_size=eval_size), root)
    assert loaded.val_targets.shape == (2, side, side) and loaded.val_targets.dtype == torch.uint8
    if side == 32:
        assert torch.equal(loaded.val_targets, loaded.val.masks)
    assert loaded.fingerprint["eval_size"] == f"{side} x {side}"


def test_greyscale_masks_are_the_same_as_palette_masks(root):
    before = load(SMALL, root)
    for path in (root / "train" / "masks").iterdir():
        Image.fromarray(np.asarray(Image.open(path))).save(path)
    with Image.open(path) as image:
        assert image.mode == "L"
    sources._load.cache_clear()
    after = load(SMALL, root)
    assert torch.equal(before.train.masks, after.train.masks)
    assert torch.equal(before.val_targets, after.val_targets)


def test_a_two_level_mask_and_a_grey_png_image_are_read(root):
    (root / "dataset.yaml").write_text("classes: [nothing, something]\nmirror_pairs: []\n")
    for path in (root / "train" / "masks").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) > 0).save(path)
    image = first(root, "images")
    Image.open(image).convert("L").save(image.with_suffix(".PNG"))
    image.unlink()
    loaded = load(SMALL, root)
    assert set(loaded.val_targets.unique().tolist()) == {0, 1}


def test_a_validation_folder_takes_the_place_of_the_split(tmp_path):
    write(tmp_path / "train", range(12))
    write(tmp_path / "val", range(12, 20))
    loaded = load(SMALL, tmp_path)
    assert len(loaded.train.names) == 12 and len(loaded.val.names) == 8
    assert list(loaded.val.names) == sorted(loaded.val.names)
    assert list(loaded.train.names) != sorted(loaded.train.names)  # train_limit takes a fair sample
    assert {int(name.split("face")[1]) for name in loaded.val.names} == set(range(12, 20))
    assert describe(SMALL, tmp_path).fixed_val


def test_train_limit_takes_the_first_of_the_split(root):
    everything = load(SMALL, root)
    limited = load(SMALL.model_copy(update={"train_limit": 5}), root)
    assert limited.train.names == everything.train.names[:5]
    assert torch.equal(limited.train.images, everything.train.images[:5])
    assert limited.val.names == everything.val.names
    assert not describe(SMALL, root).fixed_val


def test_data_stay_in_the_process(root, tmp_path):
    loaded = load(SMALL, root)
    assert load(SMALL, root) is loaded and load(SMALL, root, device="cpu") is loaded
    assert load(SMALL.model_copy(update={"split_seed": 1}), root) is not loaded


def test_a_second_process_reads_no_image(root, monkeypatch):
    before = load(SMALL, root)
    sources._load.cache_clear()

    def decode(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(folder, "decode", decode)
    after = load(SMALL, root)
    assert torch.equal(before.train.images, after.train.images)


def test_a_changed_image_is_decoded_again(root):
    before = load(SMALL, root)
    Image.new("RGB", (SIDE, SIDE), "white").save(first(root, "images"))
    sources._load.cache_clear()
    after = load(SMALL, root)
    assert not torch.equal(before.train.images, after.train.images) or not torch.equal(
        before.val.images, after.val.images
    )


def test_other_classes_come_from_dataset_yaml(root):
    names = [f"class {index}" for index in range(19)]
    (root / "dataset.yaml").write_text(f"classes: {names}\nmirror_pairs: [[8, 9]]\n")
    loaded = load(SMALL, root)
    assert loaded.classes == tuple(names) and loaded.mirror_pairs == ((8, 9),)


# What is drawn


def test_drawn_faces_need_no_folder():
    config = DataConfig.of(source="drawn", image_size=32, drawn_images=20, drawn_seed=1, train_limit=10)
    loaded = load(config, None)
    images, masks = drawn_faces.draw(20, 32, seed=1)
    order = np.random.RandomState(42).permutation(20)
    np.testing.assert_array_equal(loaded.train.images, images[order[:10]])
    np.testing.assert_array_equal(loaded.val.masks, masks[order[18:]])
    assert torch.equal(loaded.val_targets, loaded.val.masks)
    assert loaded.source == "drawn" and loaded.mirror_pairs == MIRROR_PAIRS
    assert len(set(loaded.train.names) | set(loaded.val.names)) == 12

    said = describe(config, None)
    assert (said.train, said.val, said.classes, said.image_size, said.source) == (10, 2, 19, 32, "drawn")
    assert said.fingerprint == loaded.fingerprint and not said.problems


def test_drawn_faces_are_scored_at_any_size():
    config = DataConfig.of(source="drawn", image_size=32, drawn_images=10, eval_size=64)
    loaded = load(config, None)
    assert torch.equal(loaded.val_targets[:, ::2, ::2], loaded.val.masks)


# What is said of it


def test_describe_says_what_load_loads(root):
    said = describe(DataConfig.of(image_size=32, train_limit=7), root)
    assert (said.train, said.val, said.classes, said.image_size) == (7, 2, 19, 32)
    assert said.source == str(root) and list(said.problems) == []


def test_the_fingerprint_is_of_content_not_of_place(root, tmp_path):
    before = dict(describe(SMALL, root).fingerprint)
    assert all(isinstance(part, str) and len(part) < 80 for part in before.values())
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    assert dict(describe(SMALL, copy).fingerprint) == before
    assert dict(describe(DataConfig.of(image_size=64), root).fingerprint) == before

    def parts_that_differ(config: DataConfig = SMALL) -> set[str]:
        sources._load.cache_clear()
        after = describe(config, copy).fingerprint
        return {name for name in before if after[name] != before[name]}

    assert parts_that_differ(DataConfig.of(image_size=32, split_seed=1)) == {"split"}
    assert parts_that_differ(DataConfig.of(image_size=32, eval_size="train")) == {"eval_size"}
    mask = first(copy, "masks")
    save_palette(np.zeros((SIDE, SIDE), np.uint8), mask)
    assert parts_that_differ() == {"masks"}
    (copy / "train" / "images" / f"{mask.stem}.jpg").rename(copy / "train" / "images" / "zz.jpg")
    mask.rename(mask.with_name("zz.png"))
    assert parts_that_differ() == {"names", "sizes", "masks"}  # the order changed with the name


def test_classes_that_sit_mirror_wise_are_pointed_out(root):
    (root / "dataset.yaml").write_text(f"classes: {list(CLASSES)}\n")
    said = describe(DataConfig.of(image_size=64), root)
    assert load(DataConfig.of(image_size=64), root).mirror_pairs == ()
    (problem,) = said.problems
    assert "[4, 5]" in problem and "[6, 7]" in problem and "left eye and right eye" in problem

    (root / "dataset.yaml").write_text(f"classes: {list(CLASSES)}\nmirror_pairs: []\n")
    sources._load.cache_clear()
    assert not describe(DataConfig.of(image_size=64), root).problems  # the user says there are none


PARSING = [
    "background", "skin", "left brow", "right brow", "left eye", "right eye", "eyeglasses", "left ear",
    "right ear", "earring", "nose", "mouth", "upper lip", "lower lip", "neck", "necklace", "cloth", "hair",
    "hat",
]  # fmt: skip
"""The other order in which CelebAMask-HQ's masks are in circulation."""


def in_the_other_order(root: Path) -> None:
    order = np.array([PARSING.index(name) for name in CLASSES], np.uint8)
    for path in (root / "train" / "masks").iterdir():
        save_palette(order[np.asarray(Image.open(path))], path)


def test_the_other_order_of_the_classes_is_pointed_out(root):
    config = DataConfig.of(image_size=64)
    in_the_other_order(root)
    (problem,) = describe(config, root).problems
    assert (
        "sit mirror-wise, but a flip exchanges classes 6 and 7 (left brow, right brow), 8 and 9 (left"
        in problem
    )
    assert "2 and 3 (" in problem and "7 and 8 (" in problem
    assert "write `mirror_pairs: [[2, 3], [4, 5], [7, 8]]` and the classes in the masks' order" in problem

    # Named in so many words, it is as wrong; and what the message says to write is right.
    for classes, pairs, problems in ((CLASSES, MIRROR_PAIRS, 1), (PARSING, [(2, 3), (4, 5), (7, 8)], 0)):
        text = f"classes: {list(classes)}\nmirror_pairs: {[list(pair) for pair in pairs]}\n"
        (root / "dataset.yaml").write_text(text)
        sources._load.cache_clear()
        assert len(describe(config, root).problems) == problems


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        ([[4, 5], [6, 7], [8, 9]], None),
        ([[8, 9]], None),  # the others are not said to be none, but nothing contradicts this pair
        ([], None),
        ([[5, 4], [7, 6]], None),
        (
            [[4, 7], [6, 5]],
            "a flip exchanges classes 4 and 7 (left eye, right brow), 6 and 5 (left brow, right eye)",
        ),
        ([[4, 5], [2, 8]], "but a flip exchanges classes 2 and 8 (nose, left ear)"),
        ([[12, 13]], "a flip exchanges classes 12 and 13 (lower lip, hair), which do not sit mirror-wise"),
    ],
)
def test_named_pairs_are_held_against_the_masks(root, pairs, sentence):
    (root / "dataset.yaml").write_text(f"classes: {list(CLASSES)}\nmirror_pairs: {pairs}\n")
    problems = describe(DataConfig.of(image_size=64), root).problems
    assert (sentence is None and not problems) or sentence in problems[0]


def test_masks_of_background_are_pointed_out(root):
    masks = sorted((root / "train" / "masks").iterdir())
    for path in masks[:4]:
        Image.new("L", (SIDE, SIDE)).save(path)
    (problem,) = describe(SMALL, root).problems
    assert (
        problem.startswith("4 of 20 masks hold class 0 only (") and "and 1 more): correct them" in problem
    )
    for path in masks:
        Image.new("L", (SIDE, SIDE)).save(path)
    sources._load.cache_clear()
    (problem,) = describe(SMALL, root).problems
    assert problem.startswith("20 of 20 masks hold class 0 only (")


def test_files_that_were_read_in_a_way_that_may_not_be_meant_are_pointed_out(root):
    images, masks = (sorted((root / "train" / kind).iterdir()) for kind in ("images", "masks"))
    transparent = Image.open(images[0]).convert("RGBA")
    transparent.putalpha(100)
    for path, image in (
        (images[0], transparent),
        (images[1], Image.fromarray(np.ones((SIDE, SIDE), np.uint16))),
    ):
        path.unlink()
        image.save(path.with_suffix(".png"))
    ramp = np.arange(SIDE) * 18 // SIDE // 3 * 3 + np.arange(SIDE) % 3
    Image.fromarray(np.tile(ramp.astype(np.uint8), (SIDE, 1))).save(masks[2])
    problems = describe(SMALL, root).problems
    assert problems == (
        f"1 of 20 images have transparent pixels ({images[0].stem}): transparency is ignored, "
        "and the colours stored there count",
        f"1 of 20 images have 16 bits but use less than a sixteenth of them ({images[1].stem}): they are "
        "nearly black in 8 bits; stretch their values to 65535",
        f"1 of 20 masks have classes in between at their edges ({masks[2].stem}): they look interpolated, "
        "or saved as JPEG once; export them again without smoothing",
    )


def test_what_looks_like_data_and_is_not_read_is_pointed_out(root):
    for number in range(4):
        Image.new("RGB", (8, 8)).save(root / "train" / "images" / f"x{number}.tif")
    (root / "train" / "masks" / "city").mkdir()
    shutil.copytree(root / "train", root / "valid")
    assert describe(SMALL, root).problems == (
        f"{root / 'train' / 'images'}: pictures that are not read: x0.tif, x1.tif, x2.tif and 1 more; "
        "images are .jpg, .jpeg, .png files",
        f"{root / 'train' / 'masks'}: folders in it are not read (city); move their files up",
        f"{root / 'valid'}: its images and masks are not read; a validation set is called val",
    )


def test_masks_whose_palettes_differ_are_pointed_out(root):
    paths = sorted((root / "train" / "masks").iterdir())
    image = Image.open(paths[7])
    palette = np.array(image.getpalette()).reshape(-1, 3)
    image.putpalette(palette[::-1].ravel().tolist())
    image.save(paths[7])
    Image.fromarray(np.asarray(Image.open(paths[8]))).save(paths[8])  # greyscale has no palette
    (problem,) = describe(SMALL, root).problems
    assert problem.startswith(
        f"1 of 20 masks give an index another colour than the first mask does ({paths[7].stem})"
    )


@pytest.mark.parametrize("name", [b"a\nb.jpg", b"\xff.jpg"])
def test_a_name_that_is_no_text_is_refused(root, name):
    path = first(root, "images")
    path.rename(path.with_name(os.fsdecode(name)))
    with pytest.raises(DataError, match="its name is no line of UTF-8 text; rename it"):
        describe(SMALL, root)


def test_masks_that_count_from_one_are_pointed_out(root):
    (root / "dataset.yaml").write_text("classes: [a, b, c, d]\nmirror_pairs: []\n")
    for path in (root / "train" / "masks").iterdir():
        mask = np.asarray(Image.open(path)) % 3 + 1
        Image.fromarray(mask.astype(np.uint8)).save(path)
    (problem,) = describe(SMALL, root).problems
    assert problem == "no training mask has class 0 (a), only 1 to 3: if the masks count from 1, subtract 1"


def test_classes_that_are_listed_and_do_not_occur_are_pointed_out(root):
    path = root / "dataset.yaml"
    path.write_text("classes: [a, b, c, d, e]\nmirror_pairs: []\nignore: 255\n")
    for mask in (root / "train" / "masks").iterdir():
        values = np.asarray(Image.open(mask)) % 3
        Image.fromarray(np.where(values == 1, 3, values).astype(np.uint8)).save(mask)
    (problem,) = describe(SMALL, root).problems
    assert problem == (
        f"none of 18 training masks has class 1, 4 (b, e) at 32 x 32 px: correct {path} or the masks, or "
        "train on larger images"
    )


def test_classes_that_are_assumed_and_do_not_occur_are_pointed_out(root):
    for path in (root / "train" / "masks").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) % 3).astype(np.uint8)).save(path)
    (problem,) = describe(SMALL, root).problems
    assert problem == (
        f"CelebAMask-HQ's 19 classes are assumed, but only 0 to 2 occur: list the classes in "
        f"{root / 'dataset.yaml'}"
    )


def test_a_limit_above_what_there_is_takes_all_and_says_so(root):
    for config, images in ((SMALL, 18), (DataConfig.of(source="drawn", drawn_images=10), 9)):
        data = describe(config.model_copy(update={"train_limit": 19}), root)
        assert data.train == images
        assert data.problems == (
            f"data.train_limit: 19, but there are {images} training images; all are used",
        )
        assert data.fingerprint == describe(config, root).fingerprint


def test_a_limit_decodes_no_more_than_it_takes(root):
    limited = SMALL.model_copy(update={"train_limit": 5})
    used = {*load(limited, root).train.names, *load(limited, root).val.names}
    unused = next(path for path in (root / "train" / "masks").iterdir() if path.stem not in used)
    unused.write_bytes(b"")
    sources._load.cache_clear()
    assert len(load(limited, root).train.names) == 5


def test_only_data_that_earlier_versions_read_otherwise_have_another_fingerprint(root):
    before = describe(SMALL, root).fingerprint
    assert before.keys() == {"names", "sizes", "masks", "classes", "split", "eval_size"}
    path = first(root, "images")
    exif = Image.Exif()
    exif[0x112] = 3
    Image.open(path).transpose(Image.Transpose.ROTATE_180).save(path, exif=exif)
    sources._load.cache_clear()
    assert describe(SMALL, root).fingerprint["decoding"] == "1 turned by EXIF"


def test_the_pairs_found_are_the_pairs_there_are():
    masks = drawn_faces.draw(150, 64, seed=1)[1]
    assert sorted(mirror_pairs(masks, 19)) == sorted(MIRROR_PAIRS)
    # Under other numbers they are found as well, and where left is not told from right there are none.
    renumbered = (masks * 7 % 19).astype(np.uint8)
    expected = {frozenset((left * 7 % 19, right * 7 % 19)) for left, right in MIRROR_PAIRS}
    assert {frozenset(pair) for pair in mirror_pairs(renumbered, 19)} == expected
    merged = masks.copy()
    for left, right in MIRROR_PAIRS:
        merged[merged == right] = left
    assert mirror_pairs(merged, 19) == []
    noise = np.random.default_rng(0).integers(0, 5, (50, 32, 32), np.uint8)
    assert mirror_pairs(noise, 5) == []


def test_images_on_both_sides_of_the_split_are_pointed_out(tmp_path):
    write(tmp_path / "train", range(12))
    write(tmp_path / "val", range(10, 20))
    (problem,) = describe(SMALL, tmp_path).problems
    assert problem.startswith("2 of 10 validation images are training images too")


# What is wrong


def test_a_missing_data_flag_is_named():
    with pytest.raises(DataError) as error:
        load(DataConfig.of(), None)
    assert "--data" in one_line(error) and "SEARCH_DATA" in one_line(error)


def _missing(root):
    shutil.rmtree(root)
    return root, "no such folder"


def _no_images(root):
    for kind in ("images", "masks"):
        for path in (root / "train" / kind).iterdir():
            path.unlink()
    return root / "train" / "images", "no .jpg"


def _no_mask_folder(root):
    shutil.rmtree(root / "train" / "masks")
    return root / "train" / "masks", "train/masks/*.png"


def _no_train_folder(root):
    (root / "train").rename(root / "training")
    return root / "train" / "images", "train/images"


def _image_without_mask(root):
    first(root, "masks").unlink()
    return first(root, "images"), "no mask"


def _mask_without_image(root):
    first(root, "images").unlink()
    return first(root, "masks"), "no image"


def _image_in_another_format(root):
    first(root, "images").rename(first(root, "images").with_suffix(".heic"))
    return first(root, "masks"), ".heic is not read; save that as .jpg or .png"


def _two_images_of_one_name(root):
    path = first(root, "images")
    Image.open(path).save(path.with_suffix(".png"))
    return path.with_suffix(".png"), "same name"


def _text_for_an_image(root):
    first(root, "images").write_text("no image at all")
    return first(root, "images"), "not an image"


def _empty_image(root):
    first(root, "images").write_bytes(b"")
    return first(root, "images"), "not an image"


def _pipe_for_an_image(root):
    path = first(root, "images")
    path.unlink()
    os.mkfifo(path)
    return path, "is no file; remove it"


def _truncated_image(root):
    path = first(root, "images")
    path.write_bytes(path.read_bytes()[:-600])
    return path, "damaged"


def _truncated_mask(root):
    path = first(root, "masks")
    path.write_bytes(path.read_bytes()[:-40])
    return path, "damaged"


def _mask_with_flipped_bits(root):
    path = first(root, "masks")
    content = bytearray(path.read_bytes())
    middle = content.index(b"IDAT") + 20
    content[middle : middle + 8] = b"\xff\x00" * 4
    path.write_bytes(content)
    return path, "damaged"


def _class_out_of_range(root):
    mask = MASKS[0].copy()
    mask[5, 6] = 19
    save_palette(mask, first(root, "masks"))
    return first(root, "masks"), "class 19; the 19 classes are 0 to 18"


def _colours_for_classes(root):
    Image.new("RGB", (SIDE, SIDE), "red").save(first(root, "masks"))
    return first(root, "masks"), "mode RGB, in colours"


def _sixteen_bits(root):
    Image.fromarray(MASKS[0].astype(np.uint16) + 256).save(first(root, "masks"))
    return first(root, "masks"), "the 19 classes are 0 to 18"


def _mask_of_another_size(root):
    Image.fromarray(MASKS[0][:, :-1]).save(first(root, "masks"))
    return first(root, "masks"), "63 x 64, its image 64 x 64"


def _half_a_validation_folder(root):
    (root / "val" / "images").mkdir(parents=True)
    return root / "val" / "masks", "train/masks"


FAULTS = [value for name, value in list(globals().items()) if name.startswith("_") and callable(value)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__[1:])
@pytest.mark.parametrize("ask", [load, describe], ids=["load", "describe"])
def test_a_fault_is_one_line_that_names_the_file(root, fault, ask):
    place, what = fault(root)
    with pytest.raises(DataError) as error:
        ask(SMALL, root)
    message = one_line(error)
    assert message.startswith(f"{place}: ") and what in message
    entries = Path(cache.folder()).glob("*.npy")
    assert not [path for path in entries if path.name.startswith("train")]


def test_all_faulty_files_are_listed_at_once(tmp_path):
    write(tmp_path / "train", range(12))
    write(tmp_path / "val", range(12, 20))
    for part in ("train", "val"):
        for path in (tmp_path / part / "masks").iterdir():
            Image.new("L", (SIDE, SIDE - 1)).save(path)
    masks = sorted(path for part in ("train", "val") for path in (tmp_path / part / "masks").iterdir())
    masks[3].write_bytes(b"")
    for ask in (load, describe):
        with pytest.raises(DataError) as error:
            ask(SMALL, tmp_path)
        names = ", ".join(path.stem for path in masks[:3])
        assert one_line(error) == (
            f"{masks[0]}: 64 x 63, its image 64 x 64; make them the same "
            f"(19 such files: {names} and 16 more); {masks[3]}: not an image; replace or remove it"
        )


def test_all_files_without_their_other_half_are_listed_at_once(tmp_path):
    write(tmp_path / "train", range(12))
    write(tmp_path / "val", range(12, 20))
    masks = sorted((tmp_path / "train" / "masks").iterdir())
    images = sorted((tmp_path / "val" / "images").iterdir())
    for path in (*masks[:5], *images[:2]):
        path.unlink()
    with pytest.raises(DataError) as error:
        load(SMALL, tmp_path)
    line = one_line(error)
    assert "(5 such files: " in line and " and 2 more)" in line and "no image" in line
    assert line.startswith(f"{tmp_path / 'train' / 'images' / masks[0].stem}.jpg: no mask ")
    assert all(path.stem in line for path in images[:2])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("classes: [a, b]\nclasses: [b, a]\n", ":2:1: 'classes' is given twice (first at "),
        (
            "classes: [a, b]\nmirror_pairs: []\nmirror_pairs: [[0, 1]]\n",
            ":3:1: 'mirror_pairs' is given twice",
        ),
        ("classes: [a, 1e-5]\n", ":1:14: classes.1: "),
        ("classes:\n  - a\n  - true\n", ":3:5: classes.1: "),
        (
            "classes: !!python/tuple [a, b]\n",
            ":1:1: the tag tag:yaml.org,2002:python/tuple is not supported",
        ),
        ("classes: [a, b]\nmirror_pair: []\n", ":2:1: top level: 'mirror_pair' is not one of"),
        ("classes:\n\t- a\n", "; indent with spaces"),
    ],
)
def test_dataset_yaml_has_the_rules_and_places_of_space_yaml(root, text, what):
    (root / "dataset.yaml").write_text(text)
    with pytest.raises(DataError) as error:
        load(SMALL, root)
    assert one_line(error).startswith(f"{root / 'dataset.yaml'}:") and what in one_line(error)


def test_words_that_older_yaml_takes_for_something_else_are_class_names(root):
    words = ["no", "on", "off", "y", "1:30", "2024-01-01", "0x1f"]
    names = [*words, *(f"class {index}" for index in range(len(words), 19))]
    (root / "dataset.yaml").write_text(f"classes: [{', '.join(names)}]\nmirror_pairs: []\n")
    assert load(SMALL, root).classes == tuple(names)


@pytest.mark.parametrize("name", ["dataset.yml", "Dataset.yaml", "DATASET.YML"])
def test_dataset_yaml_is_read_in_either_spelling(root, name):
    names = [f"class {index}" for index in range(19)]
    (root / name).write_text(f"classes: {names}\nmirror_pairs: [[8, 9]]\n")
    loaded = load(SMALL, root)
    assert loaded.classes == tuple(names) and loaded.mirror_pairs == ((8, 9),)
    (root / "dataset.yaml").write_text(f"classes: {names}\n")
    with pytest.raises(DataError) as error:
        sources._load.cache_clear()
        load(SMALL, root)
    assert (
        one_line(error) == f"{root}: holds {' and '.join(sorted([name, 'dataset.yaml']))}; keep one of them"
    )


def test_a_dataset_yaml_that_cannot_be_read(root):
    (root / "dataset.yaml").mkdir()
    with pytest.raises(DataError) as error:
        load(SMALL, root)
    assert one_line(error) == f"{root / 'dataset.yaml'}: is a folder; name the file in it"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("classes: [a", "YAML"),
        ("classes: {}", "classes"),
        ("- 1", "holds [1]; list the names of the classes"),
        ("", "holds null; list the names of the classes"),
        (
            "path: x\nnames: {0: a, 1: b}",
            ":2:1: names: is another program's word; write classes: ['a', 'b'], ",
        ),
        (
            "nc: 1\nnames: [a]",
            ":2:1: names: is another program's word; write classes: ['a'], beginning with",
        ),
        ("names: 3", "names: is another program's word; write classes: [background, face], beginning"),
        ("classes: {0: a, 1: b}", ":1:1: classes: a section should be a valid list; list the names"),
        ("nc: 2\nclasses: [a, b]", "'nc' is not one of classes, colours, ignore, mirror_pairs"),
        ("classes: 19", "classes: 19 should be a valid list; list the names"),
        ("classes: [a, null]", "classes.1: null should be a valid string; list the names"),
        ("classes: [a, ' ']", "classes has ' ' for class 1; write a line of text"),
        ("mirror_pairs: [[1, 2]]", "has no classes; list the names"),
        ("classes: [a]", "classes"),
        ("classes: [a, a]", "classes has 'a' twice; rename one"),
        ("classes: [\u00e9, e\u0301]", "classes has '\u00e9' twice; rename one"),
        ("classes: [a, b]\nmirror_pairs: [[0, 2]]", "mirror_pairs has 2, and the classes are 0 to 1"),
        ("classes: [a, b, c]\nmirror_pairs: [[0, 1], [1, 2]]", "twice"),
        ("classes: [a, b]\nmirror_pairs: [[0, 1, 1]]", "mirror_pairs.0"),
        ("classes: [a, b]\ncolours: []", "colours"),
    ],
)
def test_a_wrong_dataset_yaml_is_refused_with_its_place(root, text, what):
    (root / "dataset.yaml").write_text(text)
    with pytest.raises(DataError) as error:
        load(SMALL, root)
    assert one_line(error).startswith(f"{root / 'dataset.yaml'}:") and what in one_line(error)


def test_native_masks_of_several_sizes_keep_their_own(root):
    for kind, mode in (("images", Image.Resampling.BILINEAR), ("masks", Image.Resampling.NEAREST)):
        for path in sorted((root / "train" / kind).iterdir())[::2]:
            Image.open(path).resize((48, 40), mode).save(path)
    config = DataConfig.of(image_size=32, val_share=0.5)
    loaded = load(config, root)
    assert isinstance(loaded.val_targets, RaggedMasks) and len(loaded.val_targets) == 10
    for name, target in zip(loaded.val.names, loaded.val_targets, strict=True):
        np.testing.assert_array_equal(
            target, np.asarray(Image.open(root / "train" / "masks" / f"{name}.png"))
        )
    assert {tuple(target.shape) for target in loaded.val_targets} == {(40, 48), (64, 64)}
    assert loaded.fingerprint["eval_size"] == "native"
    assert load(config.model_copy(update={"eval_size": 64}), root).val_targets.shape == (10, 64, 64)


def test_more_is_asked_than_there_is(root):
    for change, what in (
        ({"val_share": 0.01}, "0 to validate"),
        ({"val_share": 0.99}, "leaves 0 to train on"),
    ):
        with pytest.raises(DataError) as error:
            load(SMALL.model_copy(update=change), root)
        assert what in one_line(error) and f"data.{next(iter(change))}" in one_line(error)
    with pytest.raises(DataError):
        describe(DataConfig.of(source="drawn", drawn_images=3), None)


@pytest.mark.parametrize(
    "wrong",
    [{"image_size": 100}, {"image_size": 0}, {"train_limit": 0}, {"eval_size": 0}, {"eval_size": "big"},
     {"val_share": 0}, {"val_share": 1.0}, {"split_seed": -1}, {"source": "web"}, {"drawn_images": 1},
     {"size": 64}],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong):
    with pytest.raises((ValidationError, SpaceError)):
        DataConfig.of(**wrong)


def test_images_are_resized_with_antialiasing(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    Image.fromarray(np.zeros_like(stripes)).save(tmp_path / "mask.png")
    files = ImageFiles("stripes", tmp_path / "stripes.png", tmp_path / "mask.png")
    (row,) = decode([files], Fitting((32, 32)), Labels(19))
    image = row["images"]
    assert image.shape == (3, 32, 32) and abs(image[:, :, 2:-2].astype(int) - 127).max() <= 1
    with pytest.raises(DataError):
        list(decode([replace(files, image=tmp_path / "none.png")], Fitting((32, 32)), Labels(19)))


# Where it lies


def test_data_that_would_fill_a_gpu_stay_on_the_host(root, monkeypatch):
    loaded = load(SMALL, root)
    moved: list[str] = []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_: moved.append("device") or self)
    needed = sum(t.nbytes for p in (loaded.train, loaded.val) for t in (p.images, p.masks))
    needed += loaded.val_targets.nbytes
    for free, count in ((2 * needed, 5), (2 * needed - 2, 0)):
        moved.clear()
        monkeypatch.setattr(sources, "_free", lambda device, free=free: free)
        sources._placed(loaded, torch.device("cuda:0"))
        assert moved == ["device"] * count


# The real thing


@pytest.mark.nightly
def test_celebamask_mini_has_its_split_sizes_and_class_shares(real_data):
    loaded = load(DataConfig.of(image_size=64, eval_size="native"), real_data)
    assert len(loaded.train.names) == 900 and len(loaded.val.names) == 100
    assert loaded.val_targets.shape == (100, 512, 512) and not loaded.problems
    masks = torch.cat([loaded.train.masks, loaded.val.masks])
    share = torch.bincount(masks.flatten().int(), minlength=19) / masks.numel() * 100
    spec = [28.77, 25.48, 2.07, 0.325, 0.223, 0.223, 0.426, 0.417, 0.480, 0.391, 0.286, 0.411, 0.671, 31.02,
            1.111, 0.204, 0.009, 4.08, 3.405]  # fmt: skip
    np.testing.assert_allclose(share, spec, rtol=0.03, atol=0.01)
    assert sorted(mirror_pairs(loaded.train.masks.numpy(), 19)) == sorted(MIRROR_PAIRS)
