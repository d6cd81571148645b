"""Batches of training images in a given order, read ahead by a thread.

A data set on the host may be a memory-mapped file that is larger than the memory. While a step trains, the
next batches are copied out of it, so that training does not wait for the disk; what it has read, the
system may drop again. For a GPU they are copied straight into page-locked memory, the only kind it reads
while the host goes on.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from search.mseg.data.dataset import Split

AHEAD = 2
"""Batches that may wait for training."""

Batch = tuple[Tensor, Tensor]


def batches(split: Split, order: Sequence[Tensor], device: torch.device) -> Generator[Batch, None, None]:
    """Images (B, 3, H, W) and masks (B, H, W), uint8 on `device`.

    Closing the iterator ends the thread.

    Args:
        order: the indices (B,) of each batch, where the split's tensors are.
    """
    if split.images.device.type != "cpu":  # there is nothing to wait for
        for indices in order:
            yield split.images[indices], split.masks[indices]
        return

    pinned = [_PinnedBatch(split, len(order[0]), device) for _ in range(AHEAD * (device.type == "cuda"))]

    def read(number: int) -> Callable[[], Batch]:
        if pinned:
            return pinned[number % AHEAD].read(order[number])
        images, masks = (
            _copied(each, order[number], each.new_empty(len(order[number]), *each.shape[1:]))
            for each in (split.images, split.masks)
        )
        return lambda: (images.to(device), masks.to(device))

    waiting: deque[Future[Callable[[], Batch]]] = deque()
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        try:
            for number in range(len(order) + AHEAD):
                # The batch before is sent before the next one is read: it may be into the same memory.
                sent = [waiting.popleft().result()()] if number >= AHEAD else []
                if number < len(order):
                    waiting.append(thread.submit(read, number))
                yield from sent
        finally:
            for future in waiting:
                future.cancel()


def _copied(source: Tensor, indices: Tensor, target: Tensor) -> Tensor:
    """`target`, into which NumPy has copied these rows of a tensor on the host, one by one.

    PyTorch would copy them with OpenMP threads of this thread's own. OpenMP then counts more threads than
    cores and no longer keeps any awake between two operations, so that small steps take twice as long.
    """
    # Not by np.take: images and masks alternate in the file, and it would first copy the whole of it.
    rows, places = source.numpy(), target.numpy()
    for place, index in enumerate(indices.tolist()):
        places[place] = rows[index]
    return target


class _PinnedBatch:
    """Page-locked memory for one batch, used again and again."""

    def __init__(self, split: Split, size: int, device: torch.device) -> None:
        self.split = split
        self.device = device
        self.images, self.masks = (
            torch.empty(size, *each.shape[1:], dtype=each.dtype, pin_memory=True)
            for each in (split.images, split.masks)
        )
        self.arrived = torch.cuda.Event()

    def read(self, indices: Tensor) -> Callable[[], Batch]:
        """Copy a batch in, once the one before has arrived; what is returned sends it to the device."""
        self.arrived.synchronize()
        _copied(self.split.images, indices, self.images)
        _copied(self.split.masks, indices, self.masks)
        return lambda: self.send(len(indices))

    def send(self, count: int) -> Batch:
        images, masks = (
            each[:count].to(self.device, non_blocking=True) for each in (self.images, self.masks)
        )
        self.arrived.record()
        return images, masks


def as_float(images: Tensor, device: torch.device) -> Tensor:
    """uint8 images as float32 in [0, 1] on `device`."""
    return images.to(device, non_blocking=True).float().div_(255)
