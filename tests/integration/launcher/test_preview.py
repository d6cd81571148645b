"""`search check --show-augmentation`: a picture that opens, and one line where none can be drawn."""

from collections.abc import Callable

import pytest
import yaml
from PIL import Image
from refusals import refused
from service import Answer, Search

Command = Callable[..., Answer]

TINY = {
    "objective": "search.mseg",
    "space": {
        "data": {"source": "drawn", "image_size": 32, "eval_size": "train", "drawn_images": 8},
        "augment": {"flip": {"low": 0.0, "high": 0.75}, "fill": {"choices": ["background", "ignored"]}},
        "trainer": {"batch_size": 4},
    },
}


def test_training_images_are_drawn_with_what_is_searched_at_its_highest(
    search: Search, command: Command
) -> None:
    (search.folder / "space.yaml").write_text(yaml.safe_dump(TINY))
    answer = command("check", "--show-augmentation", "pictures.png", "--json")
    searched = {"augment.flip": 0.75, "augment.fill": "ignored"}
    assert answer.json["augmentation"] == {"file": "pictures.png", "searched": searched}
    with Image.open(search.folder / "pictures.png") as picture:
        assert picture.format == "PNG" and picture.mode == "RGB" and picture.width > 1000
    assert {path.name for path in search.folder.iterdir()} == {"space.yaml", "pictures.png"}

    before = (search.folder / "pictures.png").read_bytes()
    assert "highest value" in command("check", "--show-augmentation", "pictures.png").out
    assert (search.folder / "pictures.png").read_bytes() == before, "the same each time"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("picture.jpg", "picture.jpg does not end in .png; give the name of a PNG file"),
        ("a.png", "a.png is a folder"),
        ("absent/picture.png", "absent/picture.png: No such file or directory; give a file in a folder"),
        ("space.yaml/picture.png", "Not a directory"),
        ("picture.png", "toy has no show_augmentation(config, data, path); omit the flag"),
    ],
)
def test_where_nothing_can_be_drawn_one_line_says_so(
    search: Search, command: Command, file: str, said: str
) -> None:
    (search.folder / "a.png").mkdir()
    line = refused(command, search.folder, "check", "--show-augmentation", file)
    assert line.startswith("--show-augmentation: ") and said in line


def test_a_failure_while_drawing_leaves_no_file(search: Search, command: Command) -> None:
    (search.folder / "space.yaml").write_text("objective: half\nspace: {x: {low: 0.0, high: 1.0}}\n")
    (search.folder / "half.py").write_text(
        "from search.errors import DataError\n"
        "def train(config, run):\n    yield\n"
        "def show_augmentation(config, data, path):\n"
        "    path.write_text('half')\n    raise DataError('--data: gone; give the folder')\n"
    )
    answer = command("check", "--show-augmentation", "picture.png", code=2)
    assert answer.err.splitlines() == ["--data: gone; give the folder"]
    assert not [path for path in search.folder.iterdir() if "picture" in path.name]
