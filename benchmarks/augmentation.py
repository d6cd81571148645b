"""What augmenting a batch costs: the default config, and each augmentation alone with probability 1.

    python benchmarks/augmentation.py                          # 96 px, batch 8
    python benchmarks/augmentation.py --against ../older       # the default config against another checkout

CPU time of one thread, so that other work on the machine counts as little as possible; medians of calls.
Both checkouts are loaded into one process, whose calls alternate between them, at 64, 96 and 256 px.
"""

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch

CALLS = 60
ROUNDS = 9
MIRROR_PAIRS = ((4, 5), (6, 7), (8, 9))


def loaded(checkout: Path) -> ModuleType:
    """`search.mseg.augment` of a checkout, whichever one was loaded before."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "search"]:
        del sys.modules[name]
    sys.path.insert(0, str(checkout.resolve()))
    module = importlib.import_module("search.mseg.augment")
    sys.path.pop(0)
    if not Path(str(module.__file__)).is_relative_to(checkout.resolve()):
        raise SystemExit(f"--against: {checkout} is no checkout")
    return module


def call(module: ModuleType, settings: dict[str, float], size: int, batch: int) -> Callable[[], float]:
    """A function that augments a batch and returns the milliseconds of CPU time it took."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 3, size, size, generator=generator)
    masks = torch.randint(0, 19, (batch, size, size), dtype=torch.uint8, generator=generator)
    config = module.AugmentConfig(**settings)

    def timed() -> float:
        started = time.process_time()
        module.augment(images, masks, config, MIRROR_PAIRS, generator)
        return 1e3 * (time.process_time() - started)

    for _ in range(5):
        timed()
    return timed


def milliseconds(module: ModuleType, settings: dict[str, float], size: int, batch: int) -> float:
    """Median of all calls."""
    timed = call(module, settings, size, batch)
    return statistics.median(timed() for _ in range(CALLS))


def costs(module: ModuleType, size: int, batch: int) -> None:
    """Prints the default config's milliseconds, and those of each augmentation alone."""
    from search.mseg.augment.settings import PROBABILITIES

    off = dict.fromkeys(PROBABILITIES, 0.0)
    idle = milliseconds(module, off, size, batch)
    print(f"{size} px, batch {batch}: nothing on {idle:.2f} ms")
    print(f"  the default config: {milliseconds(module, {}, size, batch):.2f} ms")
    for name in PROBABILITIES:
        print(f"  {name}: {milliseconds(module, {**off, name: 1.0}, size, batch) - idle:.2f} ms more")


def compare(ours: ModuleType, theirs: ModuleType, size: int, batch: int) -> None:
    """Prints the ratio of the default configs' milliseconds; both take the same random numbers."""
    one, other = (call(module, {}, size, batch) for module in (ours, theirs))
    ratios = []
    for _ in range(ROUNDS):
        first = [(one(), other()) for _ in range(CALLS // 2)]
        then = [
            (other(), one())[::-1] for _ in range(CALLS // 2)
        ]  # whoever comes second may find warm caches
        ratios.append(statistics.median(mine / yours for mine, yours in first + then))
    print(f"{size} px: ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", help="sides of the images")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--against", type=Path, help="another checkout")
    given = parser.parse_args()
    torch.set_num_threads(1)
    theirs = loaded(given.against) if given.against else None
    ours = loaded(Path(__file__).parents[1])
    for size in given.sizes or ([64, 96, 256] if theirs else [96]):
        if theirs:
            compare(ours, theirs, size, given.batch)
        else:
            costs(ours, size, given.batch)


if __name__ == "__main__":
    main()
