"""Small trainings of the stock objective, and whether two are the same."""

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from search.mseg import checkpoint, configure
from search.mseg.config import Config

SMALL = {
    "data.source": "drawn",
    "data.image_size": 32,
    "data.eval_size": "train",
    "data.drawn_images": 18,
    "data.val_share": 0.34,  # 12 to train on, 6 to validate
    # A sixteenth of the default's weights and half its time: tests train it hundreds of times.
    **{f"model.width_{stage}": width for stage, width in enumerate((16, 24, 32, 48), 1)},
    **{f"model.blocks_{stage}": 1 for stage in (2, 3, 4)},
    "model.decoder_width": 32,
    "optimizer.learning_rate": 2e-3,
    "schedule.warmup_epochs": 1,
    "trainer.epochs": 4,
    "trainer.batch_size": 5,  # two batches an epoch, two images left over
}


TIMINGS = ("epoch_seconds", "images_per_second")


def small(**changes: Any) -> Config:
    return configure(SMALL | {name.replace("__", "."): value for name, value in changes.items()})


def history(folder: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = json.loads((folder / "history.json").read_text())
    return {name: column for name, column in columns.items() if name not in TIMINGS}


def last(folder: Path) -> dict[str, Any]:
    state = checkpoint.load(folder)
    assert state is not None
    return state


def best(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The best weights, and what their file says of them."""
    path = folder / "best.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        about = {key: json.loads(value) for key, value in file.metadata().items()}
    return dict(safetensors.torch.load_file(path)), about


def assert_same(one: Any, other: Any) -> None:
    """Equal to the last bit, tensors in any nesting of dicts and lists included."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            if key not in TIMINGS:
                assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        assert one == other


def assert_same_run(one: Path, other: Path) -> None:
    assert_same(last(one), last(other))
    assert history(one) == history(other)
    assert_same(best(one), best(other))
