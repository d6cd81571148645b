"""Batches of training images in a given order, read ahead by a thread.

A data set on the host may be a memory-mapped file that is larger than the memory. While a step trains, the
next batches are copied out of it, so that training does not wait for the disk; what it has read, the
system may drop again.
"""

from collections import deque
from collections.abc import Generator, Sequence
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

    def read(indices: Tensor) -> Batch:
        batch = split.images[indices], split.masks[indices]
        return (batch[0].pin_memory(), batch[1].pin_memory()) if device.type == "cuda" else batch

    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        try:
            for indices in order:
                waiting.append(thread.submit(read, indices))
                if len(waiting) > AHEAD:
                    yield _sent(waiting.popleft().result(), device)
            while waiting:
                yield _sent(waiting.popleft().result(), device)
        finally:
            for future in waiting:
                future.cancel()


def _sent(batch: Batch, device: torch.device) -> Batch:
    images, masks = batch
    return images.to(device, non_blocking=True), masks.to(device, non_blocking=True)
