"""One training by the full protocol: the hand-tuned config of space.yaml on real faces, on this GPU.

    python benchmarks/full_training.py --data celebamask-mini
    python benchmarks/full_training.py --data celebamask-mini --set trainer.epochs=2 --device cpu

Prints the val F it reached by both metrics, the seconds it took, and how busy the GPU was, by nvidia-smi.
`--no-exchange` does not swap left and right labels in mirror images, as the hand runs did not.
"""

import argparse
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from search.mseg import configure, trainer
from search.mseg.data.dataset import SegmentationData
from search.objective import EpochResult, Run
from search.scoring import best_mean
from search.spec.spec import load_spec, stock_space

POLL_SECONDS = 0.5


class Busy:
    """Samples the GPU's utilisation, in percent, during a `with` block."""

    def __init__(self, device: str) -> None:
        self.samples: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(device,), daemon=True)

    def __enter__(self) -> "Busy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self, device: str) -> None:
        index = torch.device(device).index or 0
        command = [
            "nvidia-smi",
            f"--id={index}",
            "--query-gpu=utilization.gpu",
            "--format=csv,noheader,nounits",
        ]
        while device.startswith("cuda") and not self._ended.wait(POLL_SECONDS):
            output = subprocess.run(command, capture_output=True, text=True).stdout.strip()
            if output.isdecimal():
                self.samples.append(float(output))


def without_exchange(load: Any) -> Any:
    def loaded(*arguments: Any) -> SegmentationData:
        return replace(load(*arguments), mirror_pairs=())

    return loaded


def main() -> None:
    parser = argparse.ArgumentParser(description="The full protocol with the hand-tuned config.")
    parser.add_argument("--data", type=Path, required=True, help="a folder in CelebAMask-HQ mini's layout")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="overrides")
    parser.add_argument("--no-exchange", action="store_true")
    arguments = parser.parse_args()
    if arguments.no_exchange:
        trainer.load = without_exchange(trainer.load)
    spec = load_spec(stock_space(), overrides=arguments.overrides)
    config = configure(spec.example())
    smooth = spec.study.smooth
    with tempfile.TemporaryDirectory() as folder, Busy(arguments.device) as busy:
        started = time.perf_counter()
        run = Run(
            Path(folder) / "run", arguments.device, arguments.seed, data=arguments.data, smooth=smooth
        )
        results: list[EpochResult] = list(trainer.train(config, run))
        seconds = time.perf_counter() - started
    best = max(results, key=lambda result: result.score)
    value = best_mean([result.score for result in results], smooth, "maximize")
    exchanged = "no" if arguments.no_exchange else "yes"
    per_epoch = seconds / len(results)
    print(f"{arguments.device}, labels exchanged in mirror images: {exchanged}")
    print(f"best mean of {smooth} epochs: val F {value:.4f}")
    print(f"best epoch: {best.epoch} of {len(results)}, val F {best.score:.4f}", end=", ")
    print(f"by the batch-32 protocol {best.metrics['val_fscore_batch32']:.4f}")
    print(f"{seconds:.1f} s with set-up, {per_epoch:.3f} s an epoch", end="")
    print(f", GPU busy {fmean(busy.samples):.0f} %" if busy.samples else "")


if __name__ == "__main__":
    main()
