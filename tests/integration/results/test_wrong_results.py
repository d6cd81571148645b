"""Wrong input to `search predict`, `export` and `submit`: one line, and nothing is written."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from PIL import Image
from refusals import Command, everything, refused
from service import Search
from trained import images, untrained

from search.mseg import trained_predictor
from search.mseg.submission.solution import CAP


class Place:
    """A folder with images and a model that a test spoils."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder = folder
        self.images = images(folder / "images", ["a", "b"])
        self.model = folder / "model"
        shutil.copytree(model, self.model)
        self.weights = self.model / "best.safetensors"
        self.about: dict[str, str] = {}

    def saved(self, **changes: Any) -> None:
        """The weights with other metadata; None removes an entry."""
        with safetensors.safe_open(self.weights, "pt") as file:
            about = {**file.metadata(), **{name: json.dumps(value) for name, value in changes.items()}}
        kept = {name: text for name, text in about.items() if changes.get(name, 0) is not None}
        tensors = safetensors.torch.load_file(self.weights)
        safetensors.torch.save_file(tensors, self.weights, kept)

    def pickled(self, state: Any) -> None:
        self.weights.unlink()
        torch.save(state, self.model / "best_model.pth")


@pytest.fixture
def place(search: Search, model: Path) -> Place:
    return Place(search.folder, model)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("owned",)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def no_tensor(place: Place) -> None:
    tensors = safetensors.torch.load_file(place.weights)
    with safetensors.safe_open(place.weights, "pt") as file:
        about = file.metadata()
    del tensors["head.bias"]
    safetensors.torch.save_file(tensors, place.weights, about)


WEIGHTS: dict[str, tuple[Callable[[Place], Any], list[str]]] = {
    "no folder": (lambda place: shutil.rmtree(place.model), ["--model", "no such file or folder"]),
    "an empty folder": (
        lambda place: [each.unlink() for each in place.model.iterdir()],
        ["best.safetensors"],
    ),
    "no bytes": (lambda place: place.weights.write_bytes(b""), ["damaged"]),
    "cut off": (lambda place: truncated(place.weights), ["damaged"]),
    "an image": (lambda place: shutil.copy(place.images / "a.png", place.weights), ["damaged"]),
    "no metadata": (lambda place: place.saved(model=None), ["does not say which model"]),
    "no classes": (lambda place: place.saved(classes=None), ["does not say which model", "classes"]),
    "an unknown model": (lambda place: place.saved(model={"kind": "resnet"}), ["resnet"]),
    "a wrong option": (
        lambda place: place.saved(model={"kind": "microsegformer", "dropout": 7}),
        ["does not say which model"],
    ),
    "another model's weights": (lambda place: place.saved(model={"kind": "deeplab"}), ["of another model"]),
    "a missing weight": (no_tensor, ["lack head.bias"]),
    "too few classes": (lambda place: place.saved(classes=["a", "b"], colours=None), ["another shape"]),
    "a size that is none": (lambda place: place.saved(image_size="big"), ["does not say which model"]),
    "colours of others": (lambda place: place.saved(colours=[[1, 2, 3]]), ["does not say which model"]),
    "a colour too high": (
        lambda place: place.saved(colours=[[300, 0, 0]] * 19),
        ["does not say which model"],
    ),
    "a pickle with code": (
        lambda place: place.pickled({"model_state_dict": Malicious()}),
        ["could run code", "not loaded"],
    ),
    "a pickle without weights": (lambda place: place.pickled({"epoch": 3}), ["has no model_state_dict"]),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_wrong_weights_are_refused(command: Command, place: Place, name: str) -> None:
    spoil, words = WEIGHTS[name]
    spoil(place)
    flags = ["--model", str(place.model), "--images", str(place.images), "--out", "out"]
    line = refused(command, place.folder, "predict", *flags)
    assert all(word in line for word in words), line
    assert not Path("owned").exists()


@pytest.mark.parametrize("verb", ["export", "submit"])
def test_the_other_commands_refuse_wrong_weights_too(command: Command, place: Place, verb: str) -> None:
    truncated(place.weights)
    more = [] if verb == "export" else ["--images", str(place.images)]
    assert "damaged" in refused(
        command, place.folder, verb, "--model", str(place.model), "--out", "out", *more
    )


def a_file(path: Path) -> None:
    path.write_text("mine")


def a_full_folder(path: Path) -> None:
    path.mkdir()
    a_file(path / "mine.txt")


def of_other_weights(path: Path) -> None:
    path.mkdir()
    (path / "prediction.json").write_text('{"weights": "x", "flip": false, "title": "trial 3"}')


def damaged_note(path: Path) -> None:
    path.mkdir()
    (path / "prediction.json").write_text("{")


Spoil = Callable[[Place], Any]

FOLDERS: dict[str, tuple[str, Spoil, list[str], list[str]]] = {
    "no images": ("predict", lambda place: shutil.rmtree(place.images), [], ["--images", "No such file"]),
    "an empty folder": (
        "predict",
        lambda place: [each.unlink() for each in place.images.iterdir()],
        [],
        ["--images", "has no .jpg, .jpeg, .png"],
    ),
    "a file for a folder": (
        "predict",
        lambda place: None,
        ["--images", "images/a.png"],
        ["Not a directory"],
    ),
    "two of one name": (
        "predict",
        lambda place: shutil.copy(place.images / "a.png", place.images / "a.jpg"),
        [],
        ["a.jpg and a.png", "rename one"],
    ),
    "out is a file": ("predict", lambda place: a_file(Path("out")), [], ["--out: out is a file"]),
    "out is somebody's": (
        "predict",
        lambda place: a_full_folder(Path("out")),
        [],
        ["holds something else"],
    ),
    "other masks": ("predict", lambda place: of_other_weights(Path("out")), [], ["masks by trial 3"]),
    "a damaged note": ("predict", lambda place: damaged_note(Path("out")), [], ["cannot be read"]),
    "an unknown tta": ("predict", lambda place: None, ["--tta", "rotate"], ["--tta", "rotate"]),
    "no true masks": ("predict", lambda place: None, ["--score"], ["--score", "no such folder"]),
    "no known pairs": (
        "predict",
        lambda place: place.saved(mirror_pairs=None, classes=[f"class {i}" for i in range(19)]),
        ["--tta", "flip"],
        ["which classes change places", "without --tta flip"],
    ),
    "an unknown objective": (
        "predict",
        lambda place: None,
        ["--objective", "absent"],
        ["objective", "absent"],
    ),
    "two objectives": (
        "predict",
        lambda place: None,
        ["--objective", "toy,absent"],
        ["--objective: toy,absent: ", "name that one"],
    ),
    "export into a file": ("export", lambda place: a_file(Path("out")), [], ["--out: out exists already"]),
    "export over a folder": (
        "export",
        lambda place: a_full_folder(Path("out")),
        [],
        ["--out: out exists already"],
    ),
    "onnx into no folder": (
        "export",
        lambda place: None,
        ["--onnx", "no/m.onnx"],
        ["--onnx: no", "no such"],
    ),
    "onnx over a folder": (
        "export",
        lambda place: None,
        ["--onnx", "images"],
        ["--onnx: images is a folder"],
    ),
    "submit over a file": ("submit", lambda place: a_file(Path("out")), [], ["--out: out exists already"]),
    "submit into no folder": ("submit", lambda place: None, ["--out", "no/x.zip"], ["no such folder"]),
    "submit two of one name": (
        "submit",
        lambda place: shutil.copy(place.images / "a.png", place.images / "a.jpg"),
        [],
        ["two images 'a'"],
    ),
    "submit a damaged image": (
        "submit",
        lambda place: (place.images / "b.png").write_bytes(b"x"),
        [],
        ["b.png", "cannot be read"],
    ),
    "submit no images": (
        "submit",
        lambda place: shutil.rmtree(place.images),
        [],
        ["--images", "No such file"],
    ),
    "submit and check": ("submit", lambda place: None, ["--check", "x.zip"], ["--check", "omit --out"]),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_wrong_folders_and_flags_are_refused(command: Command, place: Place, name: str) -> None:
    verb, spoil, flags, words = FOLDERS[name]
    spoil(place)
    usual = {"--model": str(place.model), "--out": "out", "--images": "images"}
    if verb == "export":
        del usual["--images"]
    kept = [word for flag, value in usual.items() if flag not in flags for word in (flag, value)]
    line = refused(command, place.folder, verb, *kept, *flags)
    assert all(word in line for word in words), line


INCOMPLETE = {
    "predict without a model": (["predict", "--images", "images", "--out", "out"], ["--study", "--model"]),
    "export without a model": (["export", "--out", "out"], ["--study", "--model"]),
    "submit without images": (["submit", "--model", "model", "--out", "x.zip"], ["--images"]),
    "submit without out": (["submit", "--model", "model", "--images", "images"], ["--out", "--check"]),
    "predict without out": (["predict", "--model", "model", "--images", "images"], ["--out"]),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_what_is_missing_is_said(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("SEARCH_STUDY")
    flags, words = INCOMPLETE[name]
    line = refused(command, place.folder, *flags)
    assert all(word in line for word in words), line


def test_an_objective_without_the_function_is_named(command: Command, place: Place) -> None:
    for verb, function in (
        ("predict", "predictor"),
        ("export", "export_model"),
        ("submit", "write_submission"),
    ):
        more = [] if verb == "export" else ["--images", "images"]
        line = refused(
            command, place.folder, verb, "--model", "model", "--out", "out", "--objective", "toy", *more
        )
        assert f"objective 'toy' has no {function}" in line


def test_a_model_above_the_cap_is_not_submitted(command: Command, place: Place) -> None:
    untrained(place.folder / "large", width_4=512)
    flags = ["--model", "large", "--images", "images", "--out", "x.zip"]
    line = refused(command, place.folder, "submit", *flags)
    assert f"fewer than {CAP:,}" in line and "model.max_parameters" in line


def full(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device", "out/.a.tmp")


FULL = {
    "a mask": ("predict", "search.mseg.trained_predictor.palette_image", ["--images", "images"]),
    "an overlay": ("predict", "search.mseg.trained_predictor.painted", ["--images", "images", "--overlay"]),
    "an export": ("export", "search.mseg.standalone.export.model_files", []),
    "a card": ("export", "search.results.export.card", []),
    "a submission": ("submit", "search.mseg.submission.write._write_solution", ["--images", "images"]),
}


@pytest.mark.parametrize("name", FULL)
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    verb, function, flags = FULL[name]
    before = everything(place.folder)
    monkeypatch.setattr(function, full)
    answer = command(verb, "--model", "model", "--out", "out", *flags, code=1)
    assert "No space left on device" in answer.err and len(answer.err.splitlines()) == 1
    left = everything(place.folder).keys() - before.keys()
    allowed = {"out", "prediction.json", "overlays", "a.png"} if verb == "predict" else set()
    assert {path.name for path in left} <= allowed, left


def test_an_interrupted_prediction_goes_on(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = trained_predictor.TrainedPredictor.predict

    def interrupted(self: Any, image: Path, mask: Path) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        predict(self, image, mask)

    flags = ("predict", "--model", "model", "--images", "images", "--out", "out")
    with monkeypatch.context() as patch:
        patch.setattr(trained_predictor.TrainedPredictor, "predict", interrupted)
        assert "the same command continues in out" in command(*flags, code=143).err
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "prediction.json"]
    command(*flags)
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png", "prediction.json"]


def test_an_interrupted_submission_leaves_nothing(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(place.folder)

    def interrupted(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("search.mseg.submission.write.image_sizes", interrupted)
    answer = command("submit", "--model", "model", "--images", "images", "--out", "x.zip", code=130)
    assert answer.err.splitlines() == ["stopped; nothing is written"]
    assert everything(place.folder) == before


def test_masks_of_a_mask_that_is_not_the_size_of_its_truth_are_not_scored(
    command: Command, place: Place
) -> None:
    masks = place.folder / "masks"
    masks.mkdir()
    for name in ("a", "b"):
        Image.new("L", (8, 8)).save(masks / f"{name}.png")
    answer = command("predict", "--model", "model", "--images", "images", "--out", "out", "--score", code=1)
    assert "masks/a.png: is 8 x 8 pixels and its image 40 x 30" in answer.err
