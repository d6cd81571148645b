"""`search replay`: a trial again, to the last bit; and a changed library, code, seed or image is named."""

import json
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy
import yaml
from PIL import Image
from refusals import Command, refused
from service import Search
from trainings import SMALL

from search.mseg.data import sources
from storage.engine import connect

FACES = {"data.source": "folder", "data.val_share": 0.34, "trainer.epochs": 2}


def draw(folder: Path, count: int = 18) -> None:
    """Pairs of noise, 32 x 32, of two classes."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "train" / kind).mkdir(parents=True)
    for index in range(count):
        image = rng.integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(image).save(folder / "train" / "images" / f"{index}.png")
        mask = Image.fromarray((image[..., 0] > 127).astype(np.uint8))
        mask.save(folder / "train" / "masks" / f"{index}.png")
    (folder / "dataset.yaml").write_text("classes: [dark, bright]\nmirror_pairs: []\n")


@pytest.fixture
def trained(search: Search, command: Command, monkeypatch: pytest.MonkeyPatch) -> Search:
    """A study `faces` of one trial with two epochs on a folder of noise."""
    draw(search.folder / "noise")
    monkeypatch.setenv("SEARCH_DATA", str(search.folder / "noise"))
    monkeypatch.setenv("SEARCH_STUDY", "faces")
    space: dict[str, dict[str, object]] = {"model": {"dropout": {"low": 0.1, "high": 0.2}}}
    for name, value in (SMALL | FACES).items():
        if "drawn" not in name and "model" not in name:  # small models of two seeds learn noise alike
            section, _, leaf = name.partition(".")
            space.setdefault(section, {})[leaf] = value
    study = {"trials": 1, "smooth": 1, "sampler": {"kind": "random", "seed": 3}, "pruner": {"kind": "none"}}
    document = {"objective": "search.mseg", "study": study, "space": space}
    (search.folder / "space.yaml").write_text(json.dumps(document))
    command("start", "--workers", "0")
    command("worker")
    return search


def kinds(answer: dict[str, object]) -> list[tuple[str, str]]:
    differences = answer["differences"]
    assert isinstance(differences, list)
    return [(each["kind"], each["name"]) for each in differences]


def test_a_trial_on_a_cpu_comes_out_the_same_and_a_changed_library_is_named(
    command: Command, trained: Search
) -> None:
    answer = command("replay", "0", "--json").json
    assert (answer["verdict"], answer["epochs"], answer["largest_difference"]) == ("identical", 2, 0.0)
    assert (answer["differences"], answer["provenance"], answer["folder"]) == ([], True, None)
    assert answer["value"] == answer["replayed"]

    recorded = trained.folder / "runs" / "faces" / "trial-0000" / "config.yaml"
    document = yaml.safe_load(recorded.read_text())
    document["provenance"] |= {"torch": "1.0.0", "code": "0.0.1 abc"}
    recorded.write_text(yaml.safe_dump(document))
    kept = ["--out", "kept"]
    assert kinds(command("replay", "0", *kept, "--json").json) == [("library", "torch"), ("code", "code")]
    text = command("replay", "0", *kept).out
    assert "Trial 0 is reproduced to the last bit" in text and "1.0.0" in text
    assert (trained.folder / "kept" / "seed-3" / "best.safetensors").exists()

    recorded.unlink()
    answer = command("replay", "0", *kept, "--json").json
    assert (answer["verdict"], answer["provenance"]) == ("identical", False)
    assert "not on this machine" in command("replay", "0", *kept).out


def test_another_seed_and_a_changed_image_are_named(command: Command, trained: Search) -> None:
    def set_seed(seed: int) -> None:
        engine = connect(trained.url)
        with engine.begin() as connection:
            update = f"UPDATE trial_user_attributes SET value_json = '{seed}' WHERE key = 'seed'"
            assert connection.execute(sqlalchemy.text(update)).rowcount == 1
        engine.dispose()

    set_seed(4)
    answer = command("replay", "0", "--json", code=1).json
    assert (answer["verdict"], answer["seed"], kinds(answer)) == ("not reproduced", 4, [("seed", "seed")])
    assert answer["differs_from"] == 1 and answer["largest_difference"] > 0

    set_seed(3)
    path = trained.folder / "noise" / "train" / "images" / "3.png"
    Image.new("RGB", (32, 32), "white").save(path)
    flags = ["--study", "faces", "--data", str(trained.folder / "noise")]
    sources._load.cache_clear()  # this process has the old image
    answer = command("replay", "0", *flags, "--json", code=1).json
    assert (answer["verdict"], kinds(answer)) == ("not reproduced", [("data", "data.sizes")])


def test_what_cannot_be_replayed_is_refused_in_one_line(command: Command, search: Search) -> None:
    search.create(trials=1)
    command("worker")
    assert "99 is not a trial" in refused(command, search.folder, "replay", "99")
    full = search.folder / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    assert "holds something else" in refused(command, search.folder, "replay", "0", "--out", "full")
    # The toy records nothing of itself: its curve is all there is.
    answer = command("replay", "0", "--json").json
    assert (answer["verdict"], answer["provenance"]) == ("identical", False)
