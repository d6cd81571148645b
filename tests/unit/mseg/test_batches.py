"""Batches that a thread reads ahead."""

import threading

import torch

from search.mseg.data.batches import AHEAD, batches
from search.mseg.data.dataset import Split

CPU = torch.device("cpu")
SPLIT = Split(
    torch.randint(256, (20, 3, 8, 8), dtype=torch.uint8),
    torch.randint(9, (20, 8, 8), dtype=torch.uint8),
    tuple(map(str, range(20))),
)
ORDER = torch.randperm(20).split(3)


def test_batches_are_those_of_the_order() -> None:
    found = list(batches(SPLIT, ORDER, CPU))
    assert len(found) == len(ORDER) > AHEAD
    for (images, masks), indices in zip(found, ORDER, strict=True):
        assert torch.equal(images, SPLIT.images[indices]) and torch.equal(masks, SPLIT.masks[indices])


def test_leaving_early_ends_the_thread() -> None:
    reading = batches(SPLIT, ORDER, CPU)
    next(reading)
    assert any(thread.name.startswith("read-ahead") for thread in threading.enumerate())
    reading.close()
    assert not any(thread.name.startswith("read-ahead") for thread in threading.enumerate())
