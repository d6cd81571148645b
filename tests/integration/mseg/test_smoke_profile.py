"""The profile `smoke` on data of one's own: a few pictures of other classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.errors import SpaceError
from search.launcher.creation import probe
from search.mseg import configure, train
from search.objective import Run
from search.spec.spec import load_spec, stock_space


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight pictures of three sizes with two classes."""
    random = np.random.default_rng(0)
    (tmp_path / "dataset.yaml").write_text("classes: [nothing, something]\nmirror_pairs: []\n")
    for kind in ("images", "masks"):
        (tmp_path / "train" / kind).mkdir(parents=True)
    for index in range(8):
        mask = np.zeros((40 + index % 3 * 8, 64), np.uint8)
        mask[8:24, 8 + index : 32 + index] = 1
        image = np.stack([mask * 150] * 3, -1) + random.integers(0, 50, (*mask.shape, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / "train" / "images" / f"{index}.png")
        Image.fromarray(mask).save(tmp_path / "train" / "masks" / f"{index}.png")
    return tmp_path


def test_its_configs_train_on_a_handful_of_pictures(data: Path, tmp_path: Path) -> None:
    spec = load_spec(stock_space(), profile="smoke")
    description = probe(spec, data)
    assert description is not None and (description.train, description.val) == (7, 1)
    assert list(description.problems) == [
        "data.train_limit: 48, but there are 7 training images; all are used"
    ]
    (known,) = spec.known_params()
    results = list(train(configure(known), Run(tmp_path / "run", data=data)))
    assert [result.epoch for result in results] == [1, 2, 3, 4] and all(each.finite for each in results)


def test_a_shorter_look_at_the_full_space_is_refused_in_words_that_say_what_to_change(data: Path) -> None:
    with pytest.raises(
        SpaceError, match=r"warmup_epochs: 15 is not below trainer.epochs 4; make it shorter"
    ):
        probe(load_spec(stock_space(), overrides=["trainer.epochs=4"]), data)
