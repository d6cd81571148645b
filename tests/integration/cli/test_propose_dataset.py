"""`search check --propose-dataset`: a draft that describes data which nothing describes."""

from collections.abc import Callable

import numpy as np
import pytest
import yaml
from own_data import KINDS
from PIL import Image
from service import Answer, Search

from search.mseg.data import sources
from search.mseg.data.sources import DataConfig, load
from search.spec.spec import stock_space

Command = Callable[..., Answer]


@pytest.fixture
def propose(search: Search, command: Command) -> Callable[..., Answer]:
    """Makes a folder of a kind without its dataset.yaml, and proposes one into `draft.yaml`."""
    (search.folder / "space.yaml").write_text(stock_space().read_text())
    root = search.folder / "data"

    def run(kind: str, code: int = 0) -> Answer:
        KINDS[kind](root, 9)
        (root / "dataset.yaml").unlink()
        return command("check", "--data", str(root), "--propose-dataset", "draft.yaml", code=code)

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_the_draft_describes_the_data_and_can_be_trained_on(
    search: Search, propose: Callable[..., Answer], kind: str
) -> None:
    propose(kind)
    text = (search.folder / "draft.yaml").read_text()
    draft, root = yaml.safe_load(text), search.folder / "data"
    ignored = {"street": 255, "voc": [224, 224, 192], "binary": None, "grey_16_bit": 65535}[kind]
    assert draft.get("ignore") == ignored and ("colours" in draft) == (kind == "voc")
    assert not (root / "dataset.yaml").exists()  # nothing is written into the data folder
    (root / "dataset.yaml").write_text(text)
    sources._load.cache_clear()
    data = load(DataConfig.of(image_size=32, val_share=0.34), root)
    assert len(data.classes) == len(draft["classes"]) and data.ignored == (ignored is not None)


def test_shares_are_those_of_the_pixels(search: Search, propose: Callable[..., Answer]) -> None:
    propose("street")
    masks = [np.asarray(Image.open(path)) for path in (search.folder / "data/train/masks").iterdir()]
    pixels = np.concatenate([mask.ravel() for mask in masks])
    text = (search.folder / "draft.yaml").read_text()
    for value in np.unique(pixels):
        holding = sum(bool((mask == value).any()) for mask in masks)
        about = f"{100 * (pixels == value).mean():.2f} % of the pixels, in {holding} of 9 masks"
        name = "ignore: 255  # looks like 'no label':" if value == 255 else f"- class {value}  #"
        assert f"{name} {about}" in text


def test_mirror_pairs_are_proposed(search: Search, command: Command) -> None:
    from search.mseg.data import drawn_faces
    from search.mseg.data.celebamask import MIRROR_PAIRS

    (search.folder / "space.yaml").write_text(stock_space().read_text())
    images, masks = drawn_faces.draw(40, 64, seed=1)
    for kind in ("images", "masks"):
        (search.folder / "data/train" / kind).mkdir(parents=True)
    for index in range(40):
        Image.fromarray(images[index].transpose(1, 2, 0)).save(
            search.folder / f"data/train/images/{index}.png"
        )
        Image.fromarray(masks[index]).save(search.folder / f"data/train/masks/{index}.png")
    command("check", "--data", "data", "--propose-dataset", "draft.yaml")
    draft = yaml.safe_load((search.folder / "draft.yaml").read_text())
    assert sorted(map(tuple, draft["mirror_pairs"])) == sorted(MIRROR_PAIRS)


def test_wrong_uses_are_refused_and_write_nothing(search: Search, command: Command) -> None:
    (search.folder / "space.yaml").write_text(stock_space().read_text())
    root = search.folder / "data"
    KINDS["binary"](root, 4)
    (search.folder / "there.yaml").write_text("mine")
    for file, sentence in (
        ("draft.yaml", "describes the data already; edit it, or move it away"),
        ("there.yaml", "there.yaml exists; name another file"),
    ):
        answer = command("check", "--data", "data", "--propose-dataset", file, code=2)
        assert sentence in answer.err and answer.err.count("\n") == 1
    (root / "dataset.yaml").unlink()
    answer = command("check", "--data", "data", "--propose-dataset", "none/draft.yaml", code=2)
    assert "No such file or directory; name a file in a folder that is writable" in answer.err
    noise = np.random.default_rng(0).integers(0, 256, (80, 96, 3), np.uint8)
    Image.fromarray(noise).save(root / "train/masks/000.png")
    answer = command("check", "--data", "data", "--propose-dataset", "draft.yaml", code=2)
    assert "without colours, and other masks have some" in answer.err
    assert not (search.folder / "draft.yaml").exists()
