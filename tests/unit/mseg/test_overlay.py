"""The overlay: the worst and the best face, as the best weights see them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from trainings import small

from search.mseg import gallery, overlay, train
from search.mseg.data.colours import default_colours
from search.mseg.data.sources import load
from search.mseg.inference import forward
from search.mseg.learner import Learner, build
from search.objective import Run


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_a_pruned_trial_has_one_and_one_that_is_given_back_has_none(tmp_path: Path) -> None:
    pruned = train(small(), Run(tmp_path / "pruned"))
    next(pruned)
    pruned.close()
    assert (tmp_path / "pruned" / "overlay.png").exists()
    stopped: list[bool] = []
    left = train(small(), Run(tmp_path / "left", should_stop=lambda: bool(stopped)))
    next(left)
    stopped.append(True)
    assert list(left) == []
    assert not (tmp_path / "left" / "overlay.png").exists()


def test_the_overlay_shows_the_worst_and_the_best_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faces whose predictions are known: one right, one all background, the rest in between."""
    config = small()
    data = load(config.data, None, "cpu")
    best, worst = 2, 4

    def known(learner: Learner, images: torch.Tensor, targets: torch.Tensor, classes: int) -> Any:
        wrong = targets.clone()
        for index, target in enumerate(targets):
            if torch.equal(target, data.val_targets[worst]):
                wrong[index] = 0
            elif not torch.equal(target, data.val_targets[best]):
                wrong[index, : len(target) // 2] = 0
        yield torch.nn.functional.one_hot(wrong.long(), classes).permute(0, 3, 1, 2).float(), targets

    drawn: list[Any] = []
    monkeypatch.setattr(overlay, "forward", known)
    monkeypatch.setattr(overlay, "_draw", lambda rows, *_: drawn.extend(rows) or Image.new("RGB", (1, 1)))
    run = Run(tmp_path)
    next(train(config, run))
    learner = build(config, data, torch.device("cpu"))
    drawn.clear()
    overlay.write(tmp_path, learner, data)
    for face, name, (title, image, truth, prediction) in zip(
        (worst, best), ("worst", "best"), drawn, strict=True
    ):
        assert title.startswith(f"{name} of 6: {data.val.names[face]}, F ")
        assert np.array_equal(image, data.val.images[face].permute(1, 2, 0))
        assert np.array_equal(truth, data.val_targets[face])
        assert np.array_equal(prediction, truth if name == "best" else np.zeros_like(truth))
    assert drawn[1][0].endswith("F 1.0000")


def test_the_picture_shows_image_truth_and_prediction(tmp_path: Path) -> None:
    image = np.full((32, 32, 3), 200, np.uint8)
    truth, prediction = np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.uint8)
    truth[:16], prediction[:, :16] = 1, 2
    palette = default_colours(3)
    picture = np.asarray(
        overlay._draw([("worst", image, truth, prediction)] * 2, ("back", "left", "right"), palette)
    )
    y = 2 * overlay.LINE
    panels = [
        picture[y : y + overlay.SIDE, x : x + overlay.SIDE]
        for x in (overlay.GAP + index * (overlay.SIDE + overlay.GAP) for index in range(3))
    ]
    middle = overlay.SIDE // 4, 3 * overlay.SIDE // 4
    assert [tuple(panels[0][a, b]) for a in middle for b in middle] == [(200, 200, 200)] * 4
    assert np.array_equal(panels[1][middle[0], middle[0]], palette[1])
    assert np.array_equal(panels[1][middle[1], middle[0]], palette[0])
    assert np.array_equal(panels[2][middle[1], middle[0]], palette[2])
    for colour in palette:  # in the legend
        assert (picture[:, -overlay.LEGEND :] == colour).all(2).any()


def test_colours_of_neighbours_differ() -> None:
    palette = default_colours(19).astype(int)
    assert len({tuple(colour) for colour in palette}) == 19
    apart = np.abs(palette[:, None] - palette[None]).sum(2)[~np.eye(19, dtype=bool)]
    assert apart.min() > 40


def test_a_picture_that_fails_costs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "_draw", lambda *_: 1 / 0)
    assert len(list(train(small(trainer__epochs=2), Run(tmp_path)))) == 2
    assert not (tmp_path / "overlay.png").exists()


def test_the_batches_of_validation_are_views() -> None:
    """Of data that may fill half of a GPU's memory nothing is copied."""
    config = small()
    data = load(config.data, None, "cpu")
    learner = build(config, data, torch.device("cpu"))
    with torch.inference_mode():
        (found,) = [targets for _, targets in forward(learner, data.val.images, data.val_targets, 19)]
    assert found.data_ptr() == data.val_targets.data_ptr()


def test_what_is_kept_of_every_face(tmp_path: Path) -> None:
    config = small()
    data = load(config.data, None, "cpu")
    list(train(config, Run(tmp_path)))
    kept = np.load(tmp_path / gallery.GALLERY, allow_pickle=False)
    count, side = len(data.val.images), gallery.SIDE
    assert kept["names"].tolist() == list(data.val.names) and kept["classes"].tolist() == list(data.classes)
    assert kept["truth"].shape == kept["prediction"].shape == (count, side, side)
    step = side // data.val_targets.shape[-1]
    assert np.array_equal(kept["truth"][:, ::step, ::step], data.val_targets.numpy())
    images = np.asarray(Image.open(io.BytesIO(kept["images"].tobytes()))).reshape(count, side, side, 3)
    wanted = data.val.images.permute(0, 2, 3, 1).numpy().repeat(step, 1).repeat(step, 2)
    assert np.abs(images.astype(int) - wanted).mean() < 12  # a JPEG
    for face in range(count):
        f = []
        for index in np.unique(kept["truth"][face]):
            truth, predicted = kept["truth"][face] == index, kept["prediction"][face] == index
            f.append(2 * (truth & predicted).sum() / (truth.sum() + predicted.sum()))
        assert kept["f"][face] == pytest.approx(np.mean(f), abs=1e-5)
    history = json.loads((tmp_path / "history.json").read_text())
    assert kept["f"].mean() == pytest.approx(max(history["val_f_score"]), abs=1e-5)
