"""Our trainer beside the loop it replaces: same model, data, augmentation, batch, size and epochs, in turn.

    python benchmarks/training_speed.py             # 128, 256 and 512 px on this machine's device
    python benchmarks/training_speed.py --sizes 256 --rounds 5 --data celebamask-mini
    python benchmarks/training_speed.py --seeds 3 --sizes 96 --epochs 15   # which scores do both reach?

The reference is the loop of the hand runs, in `hand_run_loop.py`, whose docstring says what it does.

Each side runs in a process of its own, alternating; what is compared is the second epoch on (training
and validation), medians over rounds, with the smallest and the largest. Peak memory is the process' own
(CPU) or the allocator's (CUDA); the reference's loader processes come on top and are not counted. The CPU
ratio is of the CPU seconds of whole runs, with imports, first epoch and loader processes: other work on the
machine changes it less than the wall clock.

With `--seeds` both train from as many seeds, and what is compared is the mean val F of the last three
epochs, scored per image: the differences by seed, and their mean with its 95 % interval (Student's t).
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from hand_run_loop import DICE_WEIGHT, DROPOUT, LEARNING_RATE, WEIGHT_DECAY, Epoch, run_hand_run_loop
from PIL import Image
from scipy.stats import t

from search.mseg import configure, train
from search.mseg.data.drawn_faces import draw
from search.mseg.data.layout import scan
from search.objective import Run

BATCH = {128: 32, 256: 8, 512: 8}
"""By size; on a GPU 32 throughout."""

# -- the two sides -------------------------------------------------------------------------------


def run_ours(data: Path, size: int, batch: int, epochs: int, device: str, seed: int) -> Iterator[Epoch]:
    """Our trainer: training, validation, checkpoint and history."""
    config = configure(
        {
            "data.image_size": size,
            "data.eval_size": "train",
            "augment.affine": 0.0,
            "model.dropout": DROPOUT,
            "optimizer.learning_rate": LEARNING_RATE,
            "optimizer.weight_decay": WEIGHT_DECAY,
            "schedule.kind": "constant",
            "schedule.warmup_epochs": 0,
            "loss.dice_weight": DICE_WEIGHT,
            "trainer.epochs": epochs,
            "trainer.batch_size": batch,
            "trainer.patience": None,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        for result in train(config, Run(Path(folder), device, seed, data=data)):
            yield time.perf_counter() - started, result.score
            started = time.perf_counter()


SIDES = {"ours": run_ours, "reference": run_hand_run_loop}


def measure(
    side: str, data: Path, size: int, batch: int, epochs: int, device: str, seed: int
) -> dict[str, float]:
    """One side in this process; the seconds of the first epoch, with its set-up, are left out."""
    seconds, scores = zip(*SIDES[side](data, size, batch, epochs, device, seed), strict=True)
    if device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {
        "seconds": statistics.median(seconds[1:]),
        "peak_mib": peak,
        "score": statistics.fmean(scores[-3:]),
    }


# -- the comparison ------------------------------------------------------------------------------


def in_a_process(
    side: str, arguments: argparse.Namespace, data: Path, size: int, batch: int, seed: int = 0
) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", side, "--data", str(data), "--sizes", str(size)]
    command += ["--batch", str(batch), "--epochs", str(arguments.epochs), "--device", arguments.device]
    command += ["--seed", str(seed)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**found, "cpu_s": cpu_s}


def compare(arguments: argparse.Namespace, data: Path, images: int, size: int) -> str:
    batch = arguments.batch or (32 if arguments.device != "cpu" else BATCH.get(size, 16))
    rounds: list[dict[str, dict[str, float]]] = []
    for _ in range(arguments.rounds):
        rounds.append({side: in_a_process(side, arguments, data, size, batch) for side in SIDES})
    trained = images - round(images * 0.1)
    ours = [trained / one["ours"]["seconds"] for one in rounds]
    reference = [trained / one["reference"]["seconds"] for one in rounds]
    ratios = [mine / theirs for mine, theirs in zip(ours, reference, strict=True)]
    memory = [one["ours"]["peak_mib"] / one["reference"]["peak_mib"] for one in rounds]
    peaks = [statistics.median(one[side]["peak_mib"] for one in rounds) for side in SIDES]
    cpu = [one["reference"]["cpu_s"] / one["ours"]["cpu_s"] for one in rounds]
    speeds = f"{spread(ours, '.1f')} | {spread(reference, '.1f')} | {spread(ratios, '.2f')}"
    return (
        f"| {size} | {batch} | {speeds} | {spread(cpu, '.2f')} "
        f"| {peaks[0]:.0f} / {peaks[1]:.0f} MiB | {spread(memory, '.2f')} |"
    )


def compare_scores(arguments: argparse.Namespace, data: Path, size: int) -> Iterator[str]:
    """Rows of a table by seed, and the mean difference."""
    batch = arguments.batch or 16
    differences = []
    for seed in range(arguments.seeds):
        found = {side: in_a_process(side, arguments, data, size, batch, seed)["score"] for side in SIDES}
        differences.append(found["ours"] - found["reference"])
        yield f"| {seed} | {found['ours']:.4f} | {found['reference']:.4f} | {differences[-1]:+.4f} |"
    mean = statistics.fmean(differences)
    half = t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
    yield f"| mean | | | {mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f}) |"


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def drawn_folder(folder: Path, count: int) -> Path:
    """Drawn faces as files, in the layout and the size of CelebAMask-HQ mini."""
    images, masks = draw(count, 256, seed=0)
    for kind in ("images", "masks"):
        (folder / "train" / kind).mkdir(parents=True)
    for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
        picture = Image.fromarray(image.transpose(1, 2, 0)).resize((512, 512), Image.Resampling.BICUBIC)
        picture.save(folder / "train" / "images" / f"{index:04d}.jpg", quality=92)
        classes = Image.fromarray(mask).resize((512, 512), Image.Resampling.NEAREST)
        classes.save(folder / "train" / "masks" / f"{index:04d}.png")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description="Our trainer beside a plain loop, in turn.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="per run; the first is not counted")
    parser.add_argument("--images", type=int, default=160, help="drawn faces where no --data is given")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--data", type=Path, help="a folder in CelebAMask-HQ mini's layout")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seeds", type=int, help="compare scores instead, from so many seeds, at least 2")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        (size,) = arguments.sizes
        found = measure(
            arguments.side,
            arguments.data,
            size,
            arguments.batch,
            arguments.epochs,
            arguments.device,
            arguments.seed,
        )
        print(json.dumps(found))
        return
    name = (
        torch.cuda.get_device_name() if arguments.device != "cpu" else f"{torch.get_num_threads()} threads"
    )
    print(f"{arguments.device}, {name}, torch {torch.__version__}, {arguments.rounds} rounds\n")
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or drawn_folder(Path(folder), arguments.images)
        if arguments.seeds:
            print("| seed | ours, val F | reference, val F | difference |\n|---|---|---|---|")
            for row in compare_scores(arguments, data, arguments.sizes[0]):
                print(row, flush=True)
            return
        images = len(scan(data).train)
        print(
            "| px | batch | ours, images/s | reference, images/s | ratio | CPU ratio | peak memory "
            "| memory ratio |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for size in arguments.sizes:
            print(compare(arguments, data, images, size), flush=True)


if __name__ == "__main__":
    main()
