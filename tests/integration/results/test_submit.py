"""`search submit`: a zip that runs without this program and gives the masks inside, byte for byte."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import Command
from trained import SIZES, images

from search.mseg import write_submission
from search.mseg.submission.check import check_submission


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A folder with images and the zip for them; tests only read it."""
    root = tmp_path_factory.mktemp("submission")
    reported: list[tuple[int, int]] = []
    patch = pytest.MonkeyPatch()
    patch.setattr("search.mseg.submission.write.RUN_AGAIN", 1)  # each takes the import of torch
    made = write_submission(
        None, model, images(root / "images"), root / "made.zip", lambda *each: reported.append(each)
    )
    patch.undo()
    assert (made, reported) == (3, [(1, 3), (2, 3), (3, 3)])
    return root


def test_the_checker_finds_nothing_wrong(submission: Path) -> None:
    checked = check_submission(submission / "made.zip", submission / "images")
    assert (checked.problems, checked.masks) == ([], 3)


def test_it_holds_masks_in_the_images_sizes_and_the_solution(submission: Path) -> None:
    with zipfile.ZipFile(submission / "made.zip") as archive:
        assert sorted(archive.namelist()) == [
            "masks/a.png",
            "masks/b.png",
            "masks/c.png",
            "solution/ckpt.pth",
            "solution/model.py",
            "solution/requirements.txt",
            "solution/run.py",
        ]
        assert archive.read("solution/requirements.txt") == b"torch\npillow\nnumpy\n"
        for name, size in SIZES.items():
            mask = Image.open(io.BytesIO(archive.read(f"masks/{name}.png")))
            assert (mask.mode, mask.size) == ("P", size)
        state = torch.load(io.BytesIO(archive.read("solution/ckpt.pth")), weights_only=True)
    assert state.keys() == {"state_dict"}


def test_its_masks_are_those_of_predict(
    submission: Path, command: Command, model: Path, tmp_path: Path
) -> None:
    command("predict", "--model", str(model), "--images", str(submission / "images"), "--out", "out")
    with zipfile.ZipFile(submission / "made.zip") as archive:
        for name in SIZES:
            inside = np.asarray(Image.open(io.BytesIO(archive.read(f"masks/{name}.png"))))
            assert (inside == np.asarray(Image.open(f"out/{name}.png"))).mean() > 0.999


def test_run_py_alone_gives_the_masks_inside(submission: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(submission / "made.zip") as archive:
        archive.extractall(tmp_path)
    image, mask = submission / "images" / "c.png", tmp_path / "c.png"
    run = [sys.executable, "-E", "-s", str(tmp_path / "solution" / "run.py")]
    subprocess.run([*run, "--input", str(image), "--output", str(mask)], cwd=tmp_path, check=True)
    assert mask.read_bytes() == (tmp_path / "masks" / "c.png").read_bytes()


def test_the_code_in_it_can_be_read_alone(submission: Path) -> None:
    with zipfile.ZipFile(submission / "made.zip") as archive:
        for name in ("run.py", "model.py"):
            source = archive.read(f"solution/{name}").decode()
            assert "from search" not in source and "import search" not in source
            compile(source, name, "exec")


def test_a_command_writes_the_zip_or_nothing(
    command: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = images(tmp_path / "images", ["a"])
    flags = ("submit", "--model", str(model), "--images", str(folder), "--out", "made.zip")

    def fails(*arguments: object) -> int:
        Path(str(arguments[3])).write_bytes(b"half")
        raise OSError(28, "No space left on device", str(arguments[3]))

    with monkeypatch.context() as patch:
        patch.setattr("search.mseg.write_submission", fails)
        answer = command(*flags, code=1)
    assert "No space left on device" in answer.err and len(answer.err.splitlines()) == 1
    assert not [path for path in Path().iterdir() if "made" in path.name]


def test_a_command_says_what_it_wrote(
    command: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = images(tmp_path / "images", ["a"])

    def writes(
        config: None, weights: Path, images: Path, path: Path, report: Callable[[int, int], None]
    ) -> int:
        assert (config, weights, images) == (None, model, folder)
        path.write_bytes(b"whole")
        return 1

    monkeypatch.setattr("search.mseg.write_submission", writes)
    answer = command(
        "submit", "--model", str(model), "--images", str(folder), "--out", "made.zip", "--json"
    )
    assert answer.json == {"zip": "made.zip", "weights": str(model), "masks": 1}
    assert Path("made.zip").read_bytes() == b"whole"


def test_a_solution_that_does_not_run_is_not_handed_in(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.errors import SearchError

    monkeypatch.setattr("search.mseg.submission.write.run_source", lambda trained: "import search")
    with pytest.raises(SearchError, match=r"run.py fails without this program: .*search is not part"):
        write_submission(
            None, model, images(tmp_path / "images", ["a"]), tmp_path / "x.zip", lambda *each: None
        )
    assert not (tmp_path / "x.zip").exists()
