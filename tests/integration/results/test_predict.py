"""`search predict`: the masks of validation, at the images' own sizes, and no file half-written."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import Command
from torch.nn.functional import interpolate
from trained import SIZES, images, trained

from search.mseg.metrics import counts, fscores
from search.mseg.predicting import classes_of
from search.mseg.weights import load_trained


def pixels(path: Path) -> np.ndarray:
    image = Image.open(path)
    assert image.mode == "P"
    return np.asarray(image)


def masks(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: pixels(path) for path in folder.glob("*.png")}


def predicted(
    command: Command, model: Path, folder: Path, *more: str, code: int = 0
) -> dict[str, np.ndarray]:
    command("predict", "--model", str(model), "--images", str(folder), "--out", "out", *more, code=code)
    return masks(Path("out"))


def test_every_image_gets_a_mask_under_its_name_and_in_its_size(
    command: Command, model: Path, tmp_path: Path
) -> None:
    found = predicted(command, model, images(tmp_path / "images"))
    assert {name: mask.shape[::-1] for name, mask in found.items()} == SIZES
    assert len({int(value) for mask in found.values() for value in np.unique(mask)}) > 1
    palette = Image.open("out/a.png").getpalette()
    assert palette[: 3 * 19] == load_trained(model).colours.ravel().tolist()


def test_a_mask_is_what_plain_pytorch_gives(command: Command, model: Path, tmp_path: Path) -> None:
    found = predicted(command, model, images(tmp_path / "images"))
    trained_model = load_trained(model).model
    for name, size in SIZES.items():
        image = Image.open(tmp_path / "images" / f"{name}.png").resize((32, 32), Image.Resampling.BILINEAR)
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            logits = interpolate(trained_model.coarse(tensor), size=size[::-1], mode="bilinear")
        assert (found[name] == logits[0].argmax(0).numpy()).mean() > 0.999


def test_an_image_is_turned_as_it_is_shown(command: Command, model: Path, tmp_path: Path) -> None:
    folder = images(tmp_path / "images", ["a"])
    upright = Image.open(folder / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "b.png", exif=exif)
    found = predicted(command, model, folder)
    assert (found["a"] == found["b"]).all()


def test_padding_is_undone(command: Command, tmp_path: Path) -> None:
    padded = trained(tmp_path / "padded", data__fit="pad")
    folder = images(tmp_path / "images", ["c"])
    (found,) = predicted(command, padded, folder).values()
    image = Image.open(folder / "c.png")  # 21 x 48 becomes 14 x 32, in the middle
    small = np.zeros((32, 32, 3), np.uint8)
    small[:, 9:23] = np.array(image.resize((14, 32), Image.Resampling.BILINEAR))
    tensor = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        logits = interpolate(load_trained(padded).model.coarse(tensor), size=(32, 32), mode="bilinear")
        logits = interpolate(logits[..., 9:23], size=(48, 21), mode="bilinear")
    assert (found == logits[0].argmax(0).numpy()).mean() > 0.999


def test_flip_exchanges_the_labels_back(command: Command, model: Path, tmp_path: Path) -> None:
    """With it, the mask of a mirror image is the mirror image of the mask, left and right exchanged."""
    folder = images(tmp_path / "images", ["b"])
    mirrored = Image.open(folder / "b.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(folder / "m.png")
    found = predicted(command, model, folder, "--tta", "flip")
    exchanged = np.array(load_trained(model).mirror, np.uint8)[found["m"][:, ::-1]]
    assert (exchanged == found["b"]).mean() > 0.999
    assert load_trained(model).mirror[4:10] == [5, 4, 7, 6, 9, 8]


def test_one_class_after_the_other_gives_the_same_classes() -> None:
    logits = torch.randn(1, 5, 7, 9, generator=torch.Generator().manual_seed(1))
    assert torch.equal(classes_of(logits, (30, 40)), classes_of(logits, (30, 40), most=1))


def test_it_goes_on_where_it_stopped(command: Command, model: Path, tmp_path: Path) -> None:
    folder = images(tmp_path / "images", ["a"])
    predicted(command, model, folder)
    kept = Path("out/a.png").stat().st_mtime_ns
    images(tmp_path / "images")
    answer = command(
        "predict", "--model", str(model), "--images", str(folder), "--out", "out", "--json", "--overlay"
    )
    assert (answer.json["masks"], answer.json["kept"], answer.json["faults"]) == (3, 1, [])
    assert Path("out/a.png").stat().st_mtime_ns == kept
    assert sorted(path.name for path in Path("out/overlays").iterdir()) == ["a.jpg", "b.jpg", "c.jpg"]
    with Image.open("out/overlays/c.jpg") as overlay:
        assert overlay.size == SIZES["c"]


def test_an_overlay_colours_what_is_not_class_0(command: Command, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (64, 64), (100, 100, 100)).save(folder / "grey.png")
    mask = predicted(command, model, folder)["grey"]
    command("predict", "--model", str(model), "--images", str(folder), "--out", "out", "--overlay")
    drawn = np.asarray(Image.open("out/overlays/grey.jpg")).astype(float)
    colours = load_trained(model).colours[mask].astype(float)
    expected = np.where((mask == 0)[..., None], 100.0, (100 + colours) / 2)
    assert np.abs(drawn - expected).mean() < 8  # JPEG


def test_a_bad_image_is_named_and_passed_over(command: Command, model: Path, tmp_path: Path) -> None:
    folder = images(tmp_path / "images", ["a", "b"])
    (folder / "aa.jpg").write_bytes(b"no image")
    (folder / "c.tif").touch()
    answer = command(
        "predict", "--model", str(model), "--images", str(folder), "--out", "out", "--json", code=1
    )
    assert [Path(each["image"]).name for each in answer.json["faults"]] == ["aa.jpg"]
    assert "aa.jpg: not an image" in answer.err
    assert f"{folder}: passed over for their suffix: c.tif" in answer.err
    assert sorted(masks(Path("out"))) == ["a", "b"]
    assert not list(Path("out").glob(".*"))


def test_masks_are_scored_against_those_beside_the_images(
    command: Command, model: Path, tmp_path: Path
) -> None:
    folder = images(tmp_path / "images")
    odd = os.fsdecode(b"b\xff.png")
    (folder / "b.png").rename(folder / odd)  # a name that is no UTF-8
    found = predicted(command, model, folder)
    truths = tmp_path / "masks"
    truths.mkdir()
    expected = {}
    for name, mask in found.items():
        truth = mask.copy()
        truth[: len(mask) // 2] = 1
        Image.fromarray(truth).save(truths / f"{name}.png")
        expected[name] = fscores(
            counts(*(torch.from_numpy(each.copy())[None] for each in (mask, truth)), 19)
        )
    answer = command(
        "predict", "--model", str(model), "--images", str(folder), "--out", "out", "--score", "--json"
    )
    lines = Path("out/scores.csv").read_text(errors="surrogateescape").splitlines()
    assert lines[0] == "image,f,iou"
    assert odd in [line.split(",")[0] for line in lines]
    scores = {line.split(",")[0].removesuffix(".png"): float(line.split(",")[1]) for line in lines[1:]}
    assert scores == pytest.approx(
        {name: each.nanmean().item() for name, each in expected.items()}, abs=1e-6
    )
    assert answer.json["scores"]["f"] == pytest.approx(sum(scores.values()) / 3, abs=1e-6)
    assert 0 < answer.json["scores"]["iou"] < answer.json["scores"]["f"]


def test_a_missing_true_mask_is_named(command: Command, model: Path, tmp_path: Path) -> None:
    folder = images(tmp_path / "images", ["a", "b"])
    mask = predicted(command, model, folder)["a"]
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    answer = command(
        "predict",
        "--model",
        str(model),
        "--images",
        str(folder),
        "--out",
        "out",
        "--score",
        "--json",
        code=1,
    )
    (fault,) = answer.json["faults"]
    assert "masks/b.png" in fault["text"]
    assert answer.json["scores"] == {"f": pytest.approx(1, abs=1e-6), "iou": 1.0}


def test_json_says_where_the_masks_are(command: Command, model: Path, tmp_path: Path) -> None:
    folder = images(tmp_path / "images", ["a"])
    answer = command("predict", "--model", str(model), "--images", str(folder), "--out", "out", "--json")
    assert answer.json == {
        "weights": str(model),
        "out": "out",
        "images": 1,
        "masks": 1,
        "kept": 0,
        "faults": [],
        "scores": None,
    }
    assert json.loads(Path("out/prediction.json").read_text())["title"] == str(model)
