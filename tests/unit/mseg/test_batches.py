"""Batches that a thread reads ahead."""

import math
import sys
import threading
from pathlib import Path

import pytest
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


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_reading_ahead_takes_one_thread_and_none_of_openmp() -> None:
    """With threads of its own there, OpenMP would put those of training to sleep after every operation."""
    large = Split(
        torch.zeros(8, 3, 256, 256, dtype=torch.uint8), torch.zeros(8, 256, 256), tuple("abcdefgh")
    )
    tasks, threads = Path("/proc/self/task"), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.ones(2**20).exp()  # OpenMP's threads for this thread begin here
        before = len(list(tasks.iterdir()))
        reading = batches(large, [torch.arange(8)] * 2, CPU)
        next(reading)
        assert len(list(tasks.iterdir())) == before + 1
        reading.close()
    finally:
        torch.set_num_threads(threads)


class LateCopies:
    """A device whose copies from the host happen when somebody waits for them, and not before.

    Stands in for `torch.cuda.Event`: it has the copies that began before it was recorded.
    """

    began: list[tuple[torch.Tensor, torch.Tensor]]

    def __init__(self) -> None:
        self.copies: list[tuple[torch.Tensor, torch.Tensor]] = []

    def record(self) -> None:
        self.copies, LateCopies.began = LateCopies.began, []

    def synchronize(self) -> None:
        for source, target in self.copies:
            target.copy_(source)
        self.copies = []


def test_a_gpu_gets_batches_from_two_pinned_buffers_that_wait_for_their_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[LateCopies] = []
    pinned: list[int] = []
    empty, to = torch.empty, torch.Tensor.to

    def event() -> LateCopies:
        events.append(LateCopies())
        return events[-1]

    def allocate(*size: int, dtype: torch.dtype, pin_memory: bool) -> torch.Tensor:
        assert pin_memory
        pinned.append(math.prod(size))
        return empty(*size, dtype=dtype)

    def send(tensor: torch.Tensor, device: torch.device, non_blocking: bool) -> torch.Tensor:
        assert (device.type, non_blocking) == ("cuda", True)
        LateCopies.began.append((tensor, torch.zeros_like(tensor)))
        return LateCopies.began[-1][1]

    LateCopies.began = []
    monkeypatch.setattr(torch.cuda, "Event", event)
    monkeypatch.setattr(torch, "empty", allocate)
    monkeypatch.setattr(torch.Tensor, "to", send)
    found = list(batches(SPLIT, ORDER, torch.device("cuda")))
    monkeypatch.setattr(torch.Tensor, "to", to)
    for each in events:
        each.synchronize()
    assert len(found) == len(ORDER) and len(events) == AHEAD
    assert sum(pinned) == AHEAD * 3 * (3 + 1) * 8 * 8  # bytes, whatever the length of the epoch
    for (images, masks), indices in zip(found, ORDER, strict=True):
        assert torch.equal(images, SPLIT.images[indices]) and torch.equal(masks, SPLIT.masks[indices])
