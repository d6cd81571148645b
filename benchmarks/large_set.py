"""What a set of many images takes: memory and time to decode it once, and to read it for an epoch.

It writes generated images and masks into a temporary folder, loads them as a worker does, and reads all
batches of an epoch without training. Memory is what the process has for itself (`RssAnon` of
/proc/self/status, looked at every 5 ms): pages of the memory-mapped cache, which the system can drop, are
not counted.

    .venv/bin/python benchmarks/large_set.py --images 20000 --size 64
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from search.mseg.data.batches import batches
from search.mseg.data.cache import folder as cache_folder
from search.mseg.data.sources import DataConfig, load

MB = 1e6
DIFFERENT = 100  # images that are generated; the others are copies of them


def anonymous() -> int:
    """Bytes of memory that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no RssAnon")


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What `work` returns, its seconds, and the most memory in MB that it took beyond what was there."""
    before, most, ended = anonymous(), 0, threading.Event()

    def look() -> None:
        nonlocal most
        while not ended.wait(0.005):
            most = max(most, anonymous())

    thread = threading.Thread(target=look)
    thread.start()
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    ended.set()
    thread.join()
    return result, seconds, max(0, most - before) / MB


def generate(root: Path, count: int, side: int) -> None:
    """`count` pairs of noise with two classes, of which a hundred differ; one in ten validates."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / "train" / kind).mkdir(parents=True)
    for index in range(count):
        image_file, mask_file = (root / "train" / kind / f"{index:06d}.png" for kind in ("images", "masks"))
        if index >= DIFFERENT:
            shutil.copy(image_file.with_name(f"{index % DIFFERENT:06d}.png"), image_file)
            shutil.copy(mask_file.with_name(f"{index % DIFFERENT:06d}.png"), mask_file)
            continue
        image = rng.integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(image).save(image_file, compress_level=0)
        Image.fromarray((image[..., 0] > 127).astype(np.uint8)).save(mask_file, compress_level=1)
    (root / "dataset.yaml").write_text("classes: [dark, light]\nmirror_pairs: []\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["SEARCH_CACHE"] = f"{temporary}/cache"
        root = Path(temporary) / "data"
        generate(root, arguments.images, arguments.size)
        config = DataConfig.of(image_size=arguments.size)
        data, seconds, memory = measured(lambda: load(config, root))
        cached = sum(path.stat().st_size for path in cache_folder().iterdir())
        print(f"{arguments.images} images of {arguments.size} px: {cached / MB:.0f} MB in the cache")
        print(f"decoded in {seconds:.1f} s, {memory:.0f} MB of memory at most")

        def epoch() -> int:
            order = torch.randperm(len(data.train.names)).split(32)
            return sum(len(images) for images, _ in batches(data.train, order, torch.device("cpu")))

        read, seconds, memory = measured(epoch)
        print(f"an epoch of {read} images read in {seconds:.1f} s, {memory:.0f} MB of memory at most")


if __name__ == "__main__":
    main()
