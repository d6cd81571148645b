"""Whether training works on a GPU as on a CPU, and what each lever gives there; parts of `gpu.sh`.

    python benchmarks/gpu_checks.py numbers --device cuda   # the same steps there and on the CPU
    python benchmarks/gpu_checks.py resume --device cuda   # an interrupted training beside an uninterrupted
    python benchmarks/gpu_checks.py attention --device cuda   # which kernel each stage's attention takes
    python benchmarks/gpu_checks.py memory --device cuda   # the most that one step allocates
    python benchmarks/gpu_checks.py levers --device cuda   # milliseconds of a step with and without each
    python benchmarks/gpu_checks.py beside --batch 8 --other FOLDER  # CPU time beside another checkout

Nothing is asserted beyond what must hold: the rest is printed, to be read.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import roofline
import torch
from torch.profiler import ProfilerActivity, profile

from search.mseg import configure, learner, train
from search.mseg.data.sources import load
from search.mseg.models.microsegformer import STAGES
from search.objective import Run

LEVERS: dict[str, tuple[dict[str, Any], int]] = {
    "as it is": ({}, 2**28),
    "float32": ({"trainer.precision": "float32"}, 2**28),
    "compile": ({"trainer.compile": True}, 2**28),
    "logits in parts of 2^27": ({}, 2**27),
    "logits in parts of 2^24": ({}, 2**24),
}
"""Settings, and the most logits at a time."""
ROUNDS = 3


def drawn(size: int, **settings: Any) -> Any:
    return configure(
        {
            "data.source": "drawn",
            "data.drawn_images": 24,
            "data.image_size": size,
            "data.eval_size": "train",
            "schedule.warmup_epochs": 1,
            "trainer.batch_size": 8,
            "trainer.epochs": 4,
            "trainer.patience": None,
        }
        | settings
    )


def numbers(arguments: argparse.Namespace) -> None:
    """Losses of the same steps without dropout or augmentation: in float32 on both, and in bfloat16."""
    losses: dict[str, list[float]] = {}
    for name, device, precision in (
        ("CPU, float32", "cpu", "float32"),
        ("device, float32", arguments.device, "float32"),
        ("device, bfloat16", arguments.device, "bfloat16"),
    ):
        config = drawn(arguments.size, **{"model.dropout": 0.0, "trainer.precision": precision})
        torch.manual_seed(0)
        trained = learner.build(config, load(config.data, None), torch.device("cpu"))
        weights = trained.model.state_dict()
        trained = learner.build(config, load(config.data, None), torch.device(device))
        trained.model.load_state_dict(weights)
        trained.model.train()
        data = load(config.data, None).train
        images, masks = data.images[:8].to(device).float() / 255, data.masks[:8].to(device)
        losses[name] = []
        for epoch in range(1, 5):
            trained.set_epoch(epoch)
            losses[name].append(trained.step(images, masks)[0].item())
    print("| step | " + " | ".join(losses) + " |\n" + "|---" * (1 + len(losses)) + "|")
    for step, row in enumerate(zip(*losses.values(), strict=True), 1):
        print(f"| {step} | " + " | ".join(f"{loss:.6f}" for loss in row) + " |")
    first = [each[0] for each in losses.values()]
    if abs(first[1] / first[0] - 1) > 1e-2 or abs(first[2] / first[0] - 1) > 5e-2:
        raise SystemExit("the first loss differs by more than rounding")


def resume(arguments: argparse.Namespace) -> None:
    config = drawn(arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        whole = list(train(config, Run(Path(folder) / "whole", arguments.device, 1)))
        broken = Run(Path(folder) / "broken", arguments.device, 1)
        first = train(config, broken)
        begun = list(islice(first, 2))
        first.close()
        after = list(train(config, broken))
    if [each.epoch for each in after] != [2, 3, 4] or not after[0].resumed:
        raise SystemExit(f"it went on with the epochs {[each.epoch for each in after]}")
    print("| epoch | uninterrupted, val F | resumed, val F |\n|---|---|---|")
    for one, other in zip(whole, begun + after[1:], strict=True):
        print(f"| {one.epoch} | {one.score:.6f} | {other.score:.6f} |")


def attention(arguments: argparse.Namespace) -> None:
    """The kernels that attention calls at each stage's width, with dropout, forward and backward."""
    kind = "cuda" if arguments.device.startswith("cuda") else "cpu"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if kind == "cuda" else [])]
    dtype = torch.bfloat16 if kind == "cuda" else torch.float32
    side = arguments.size
    for stage, (spec, width) in enumerate(zip(STAGES, (32, 64, 128, 192), strict=True), 1):
        side //= spec.stride
        shape = {"query": side**2, "key": (side // spec.reduction) ** 2}
        q, k, v = (
            torch.randn(2, 1, shape[name], width, device=arguments.device, dtype=dtype, requires_grad=True)
            for name in ("query", "key", "key")
        )
        with profile(activities=activities) as profiler:
            out = torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.1)
            out.sum().backward()
        names = sorted({row.key for row in profiler.key_averages() if "attention" in row.key.lower()})
        print(f"stage {stage}: {shape['query']} x {shape['key']}, width {width}: {', '.join(names)}")


def memory(arguments: argparse.Namespace) -> None:
    print("| px | batch | peak, MiB |\n|---|---|---|")
    device = torch.device(arguments.device)
    for size in arguments.sizes:
        once = roofline.step(size, arguments.batch, device)
        once()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            once()
            print(f"| {size} | {arguments.batch} | {torch.cuda.max_memory_allocated() / 2**20:.0f} |")
        else:
            print(f"| {size} | {arguments.batch} | only measured on a GPU |")


def levers(arguments: argparse.Namespace) -> None:
    """All of them in turn, several times, so that a clock that changes meets every one."""
    device = torch.device(arguments.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    print("| px | batch | lever | step, ms (smallest to largest of the rounds) |\n|---|---|---|---|")
    for size in arguments.sizes:
        steps = {}
        for name, (settings, most) in LEVERS.items():
            learner.LOGITS[device.type] = most
            steps[name] = roofline.step(size, arguments.batch, device, settings)
            steps[name]()
        found: dict[str, list[float]] = {name: [] for name in LEVERS}
        for _ in range(ROUNDS):
            for name, (_, most) in LEVERS.items():
                learner.LOGITS[device.type] = most
                found[name].append(1e3 * roofline.seconds(steps[name], device, 10))
        for name, each in found.items():
            spread = f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"
            print(f"| {size} | {arguments.batch} | {name} | {spread} |", flush=True)


STEPS = """
import sys, time, torch, roofline
once = roofline.step(int(sys.argv[1]), int(sys.argv[2]), torch.device("cpu"))
for _ in range(3):
    once()
print(flush=True)
for _ in sys.stdin:
    started = time.process_time()
    for _ in range(int(sys.argv[3])):
        once()
    print((time.process_time() - started) / int(sys.argv[3]), flush=True)
"""


def beside(arguments: argparse.Namespace) -> None:
    """CPU time of a step on one thread: of this checkout, and of another one or other variables, in turn.

    Each has a process of its own, which takes a few steps when told to.
    """
    folders = Path(__file__).parents[1], arguments.other
    variables: tuple[list[str], list[str]] = [], arguments.variables
    print("| px | batch | this, ms | other, ms | this / other |\n|---|---|---|---|---|")
    for size in arguments.sizes:
        repeats = max(1, 256 // size)
        sides = [
            subprocess.Popen(
                [sys.executable, "-P", "-c", STEPS, str(size), str(arguments.batch), str(repeats)],
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{folder}:{folder}/benchmarks"}
                | dict(each.split("=", 1) for each in added),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for folder, added in zip(folders, variables, strict=True)
        ]
        for side in sides:
            side.stdout.readline()  # type: ignore[union-attr]
        rounds = [[_milliseconds(side) for side in sides] for _ in range(arguments.rounds)]
        for side in sides:
            side.communicate()
        row = [*zip(*rounds, strict=True), [one / other for one, other in rounds]]
        cells = [f"{statistics.median(each):.3g} ({min(each):.3g} to {max(each):.3g})" for each in row]
        print(f"| {size} | {arguments.batch} | " + " | ".join(cells) + " |", flush=True)


def _milliseconds(side: subprocess.Popen[str]) -> float:
    assert side.stdin and side.stdout
    side.stdin.write("\n")
    side.stdin.flush()
    return 1e3 * float(side.stdout.readline())


CHECKS = {
    "numbers": numbers,
    "resume": resume,
    "attention": attention,
    "memory": memory,
    "levers": levers,
    "beside": beside,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether training works on a GPU, and what levers give.")
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9, help="beside: how often each side has its turn")
    parser.add_argument("--other", type=Path, default=Path(__file__).parents[1], help="beside: a checkout")
    parser.add_argument(
        "--variables", nargs="*", default=[], metavar="NAME=VALUE", help="beside: of the other"
    )
    arguments = parser.parse_args()
    torch.zeros(1, device=arguments.device)  # fails here, before anything is computed on the CPU
    CHECKS[arguments.check](arguments)


if __name__ == "__main__":
    main()
