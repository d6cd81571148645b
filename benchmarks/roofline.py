"""How far a training step is from the device's limits: operations and bytes over measured rates.

    python benchmarks/roofline.py                           # 128, 256 and 512 px on this machine's device

Operations are those of matrix products and convolutions, forward and backward, as PyTorch counts them.
Bytes are what every kernel reads and writes if nothing stays in a cache between two kernels; fused kernels
would need fewer. The rates are those of a large matrix product and a large copy on this device, measured in
the same run. The floor is the larger of the two quotients: no step made of these kernels is faster, unless
caches help.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from search.mseg import configure
from search.mseg.augment import augment
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.sources import load
from search.mseg.learner import build
from search.mseg.metrics import Scores

BATCH = {128: 32, 256: 16, 512: 8}
FREE = {"view", "_unsafe_view", "t", "transpose", "permute", "expand", "unsqueeze", "squeeze", "slice"}
FREE |= {
    "select",
    "split",
    "split_with_sizes",
    "detach",
    "alias",
    "as_strided",
    "unbind",
    "diagonal",
    "empty",
}
"""Operations that move nothing."""


class Moved(TorchDispatchMode):
    """Counts the kernels, and adds up the bytes of their inputs and outputs."""

    kernels = 0
    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ not in FREE:
            moved = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in moved)
            self.kernels += 1
        return out


def step(
    size: int, batch: int, device: torch.device, settings: Mapping[str, Any] | None = None
) -> Callable[[], None]:
    """A step of training as the trainer takes it, from the augmentation to the counts."""
    config = configure(
        {
            "data.source": "drawn",
            "data.drawn_images": 10,
            "data.image_size": size,
            "data.eval_size": "train",
            "optimizer.learning_rate": 8e-4,
            "trainer.batch_size": batch,
        }
        | dict(settings or {})
    )
    torch.manual_seed(0)
    learner = build(config, load(config.data, None), device)
    learner.model.train()
    images = torch.rand(batch, 3, size, size, device=device)
    masks = torch.randint(0, len(CLASSES), (batch, size, size), dtype=torch.uint8, device=device)

    def once() -> None:
        pixels, labels = augment(images, masks, config.augment, MIRROR_PAIRS)
        _, prediction = learner.step(pixels, labels)
        Scores(len(CLASSES)).add(prediction, labels)

    return once


def seconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median wall time of `call`, after one that does not count."""
    found = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - started)
    return statistics.median(found[1:])


def rates(device: torch.device) -> tuple[float, float]:
    """Operations and bytes per second of a large float32 product and a large copy."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = torch.rand(side, side, device=device), torch.rand(side, side, device=device)
    operations = 2 * side**3 / seconds(lambda: a @ b, device, 5)
    source = torch.rand(2**28 if device.type == "cuda" else 2**26, device=device)
    target = torch.empty_like(source)
    moved = 2 * source.numel() * source.element_size() / seconds(lambda: target.copy_(source), device, 5)
    return operations, moved


def measure(size: int, batch: int, device: torch.device, repeats: int) -> str:
    once = step(size, batch, device)
    once()
    with FlopCounterMode(display=False) as operations:
        once()
    with Moved() as moved:
        once()
    taken = seconds(once, device, repeats)
    by_operations, by_bytes = rates(device)
    compute, memory = operations.get_total_flops() / by_operations, moved.bytes / by_bytes
    floor = max(compute, memory)
    return (
        f"| {size} | {batch} | {operations.get_total_flops() / 1e9:.1f} | {moved.bytes / 2**30:.2f} "
        f"| {by_operations / 1e9:.0f} | {by_bytes / 2**30:.1f} | {1e3 * compute:.0f} | {1e3 * memory:.0f} "
        f"| {1e3 * taken:.0f} | {taken / floor:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="A training step beside the device's limits.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--batch", type=int)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    print(
        "| px | batch | GFLOP | GiB | GFLOP/s | GiB/s | by operations, ms | by bytes, ms | step, ms "
        "| times the floor |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for size in arguments.sizes:
        batch = arguments.batch or (32 if device.type == "cuda" else BATCH.get(size, 16))
        print(measure(size, batch, device, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
