"""Our trainer beside the loop it replaces: same model, data, batch, size and epochs, in turn.

    python benchmarks/training_speed.py             # 128, 256 and 512 px on this machine's
    device
    python benchmarks/training_speed.py --sizes 256 --rounds 5 --data celebamask-mini
    python benchmarks/training_speed.py --seeds 3 --sizes 96 --epochs 15   # do both learn the same?

The reference is a plain loop of the kind that hand runs use, written here: a DataLoader with two
workers that decode JPEGs with PIL in every epoch and augment one image at a time (flip, rotation, scale
and translation, colours, each its own resampling), an unfolded decoder, attention that writes its
matrix out, a loss with one-hot targets, predictions moved to the CPU after every batch for a NumPy
metric, float32.

Each side runs in a process of its own, alternating; what is compared is the second epoch on (training
and validation), medians over rounds, with the smallest and the largest. Peak memory is the process' own
(CPU) or the allocator's (CUDA); the reference's loader processes come on top and are not counted.

With `--seeds` both train from as many seeds, and what is compared is the mean val F of the last three
epochs, scored per image: the differences by seed, and their mean with its 95 % interval (Student's t).
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from scipy.stats import t
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from search.mseg import configure, train
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.drawn_faces import draw
from search.mseg.data.layout import ImageFiles, scan
from search.mseg.models.microsegformer import STAGES
from search.objective import Run

WIDTHS, BLOCKS = (32, 64, 128, 192), (1, 2, 2, 2)
LEARNING_RATE, WEIGHT_DECAY, DROPOUT, DICE_WEIGHT = 8e-4, 1e-4, 0.15, 1.5
BATCH = {128: 32, 256: 16, 512: 8}
"""By size; on a GPU 32 throughout."""

# -- the reference: data -------------------------------------------------------------------------


class Faces(Dataset[tuple[Tensor, Tensor]]):
    """Pairs decoded from their files each time, and augmented one by one."""

    def __init__(self, pairs: list[ImageFiles], size: int, augmented: bool) -> None:
        self.pairs, self.size, self.augmented = pairs, size, augmented

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        pair = self.pairs[index]
        image = (
            Image.open(pair.image).convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        )
        mask = Image.open(pair.mask).resize((self.size, self.size), Image.Resampling.NEAREST)
        if self.augmented:
            image, mask = self.augment(image, mask)
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1).contiguous()
        return pixels, torch.from_numpy(np.asarray(mask, dtype=np.int64))

    def augment(self, image: Image.Image, mask: Image.Image) -> tuple[Image.Image, Image.Image]:
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            table = np.arange(256, dtype=np.uint8)
            for one, other in MIRROR_PAIRS:
                table[one], table[other] = other, one
            mask = Image.fromarray(table[np.asarray(mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT))])
        if random.random() < 0.3:
            angle = random.uniform(-15, 15)
            image = image.rotate(angle, Image.Resampling.BILINEAR)
            mask = mask.rotate(angle, Image.Resampling.NEAREST)
        if random.random() < 0.3:
            scale, side = random.uniform(0.9, 1.1), self.size
            shift = [random.uniform(-0.05, 0.05) * side for _ in range(2)]
            offset = [side / 2 - (side / 2 + one) / scale for one in shift]
            matrix = (1 / scale, 0, offset[0], 0, 1 / scale, offset[1])
            image = image.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
            mask = mask.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)
        if random.random() < 0.5:
            image = ImageEnhance.Brightness(image).enhance(random.uniform(0.8, 1.2))
            image = ImageEnhance.Contrast(image).enhance(random.uniform(0.8, 1.2))
            image = ImageEnhance.Color(image).enhance(random.uniform(0.9, 1.1))
        return image, mask


# -- the reference: model, loss, metric ----------------------------------------------------------


class PlainAttention(nn.Module):
    def __init__(self, width: int, reduction: int, dropout: float) -> None:
        super().__init__()
        self.q, self.kv = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.proj, self.dropout = nn.Linear(width, width), nn.Dropout(dropout)
        self.reduce = nn.Conv2d(width, width, reduction, reduction) if reduction > 1 else None
        self.norm = nn.LayerNorm(width) if reduction > 1 else None

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        batch, _, depth = x.shape
        source = x
        if self.reduce is not None and self.norm is not None:
            grid = x.transpose(1, 2).reshape(batch, depth, height, width)
            source = self.norm(self.reduce(grid).flatten(2).transpose(1, 2))
        key, value = self.kv(source).chunk(2, dim=-1)
        weights = (self.q(x) @ key.transpose(1, 2) / depth**0.5).softmax(-1)
        return self.dropout(self.proj(self.dropout(weights) @ value))


class PlainBlock(nn.Module):
    def __init__(self, width: int, reduction: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = PlainAttention(width, reduction, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.attention(self.norm1(x), height, width)
        return x + self.mlp(self.norm2(x))


class PlainLMSA(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.pointwise = nn.Conv2d(width, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.down, self.up = nn.Linear(width, 32, bias=False), nn.Linear(32, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.pointwise(self.depthwise(x)))
        gate = self.up(self.down(out.mean((2, 3))).relu()).sigmoid()
        return gate[:, :, None, None] * out + x


class PlainSegFormer(nn.Module):
    """The design as it is written down: project, upsample, concatenate, fuse, upsample, classify."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        inputs = 3
        self.patches, self.patch_norms = nn.ModuleList(), nn.ModuleList()
        self.blocks, self.norms, self.projections = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for spec, width, blocks in zip(STAGES, WIDTHS, BLOCKS, strict=True):
            self.patches.append(nn.Conv2d(inputs, width, spec.kernel, spec.stride, spec.kernel // 2))
            self.patch_norms.append(nn.LayerNorm(width))
            rate = DROPOUT * spec.dropout
            self.blocks.append(
                nn.ModuleList(PlainBlock(width, spec.reduction, rate) for _ in range(blocks))
            )
            self.norms.append(nn.LayerNorm(width))
            self.projections.append(nn.Linear(width, 128))
            inputs = width
        self.fuse = nn.Sequential(nn.Linear(512, 128), nn.GELU(), nn.Linear(128, 128))
        self.lmsa = PlainLMSA(128)
        self.head = nn.Conv2d(128, classes, 1)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for stage in range(len(STAGES)):
            x = self.patches[stage](x)
            height, width = x.shape[2:]
            tokens = self.patch_norms[stage](x.flatten(2).transpose(1, 2))
            for block in self.blocks[stage]:  # type: ignore[union-attr]
                tokens = block(tokens, height, width)
            tokens = self.norms[stage](tokens)
            x = tokens.transpose(1, 2).reshape(len(x), -1, height, width)
            projected = self.projections[stage](tokens).transpose(1, 2).reshape(len(x), 128, height, width)
            size = features[0].shape[2:] if features else (height, width)
            features.append(F.interpolate(projected, size, mode="bilinear", align_corners=False))
        fused = self.fuse(torch.cat(features, 1).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        upsampled = F.interpolate(self.lmsa(fused), scale_factor=4, mode="bilinear", align_corners=False)
        return self.head(upsampled)


def initialise(module: nn.Module) -> None:
    """SegFormer's, like ours: else the two would not learn alike."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


def plain_loss(logits: Tensor, target: Tensor) -> Tensor:
    share = logits.softmax(1)
    one_hot = F.one_hot(target, logits.shape[1]).permute(0, 3, 1, 2).float()
    overlap, total = (share * one_hot).sum((2, 3)), share.sum((2, 3)) + one_hot.sum((2, 3))
    dice = (2 * overlap + 1e-8) / (total + 1e-8)
    return F.cross_entropy(logits, target) + DICE_WEIGHT * (1 - dice.mean())


def plain_fscore(prediction: np.ndarray, target: np.ndarray, classes: int) -> float:
    scores = []
    for label in range(classes):
        held = target == label
        if held.any():
            said = prediction == label
            hit = (held & said).sum()
            precision, recall = hit / (said.sum() + 1e-7), hit / (held.sum() + 1e-7)
            scores.append(2 * precision * recall / (precision + recall + 1e-7))
    return float(np.mean(scores))


# -- the two sides -------------------------------------------------------------------------------


Epoch = tuple[float, float]
"""Seconds, validation included, and the validation's mean F per image."""


def run_reference(
    data: Path, size: int, batch: int, epochs: int, device: str, seed: int
) -> Iterator[Epoch]:
    """The plain loop."""
    random.seed(seed)
    torch.manual_seed(seed)
    pairs = list(scan(data).train)
    order = np.random.RandomState(42).permutation(len(pairs))
    held_out = round(len(pairs) * 0.1)
    chosen = [pairs[index] for index in order[: len(pairs) - held_out]]
    train_set = Faces(chosen, size, augmented=True)
    val_set = Faces([pairs[index] for index in order[len(pairs) - held_out :]], size, augmented=False)
    loader = DataLoader(train_set, batch, shuffle=True, num_workers=2, drop_last=True)
    val_loader = DataLoader(val_set, batch, num_workers=2)
    model = PlainSegFormer(len(CLASSES)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(epochs):
        started = time.perf_counter()
        model.train()
        for images, masks in loader:
            images, masks = images.to(device), masks.to(device)
            optimizer.zero_grad()
            logits = model(images)
            loss = plain_loss(logits, masks)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            loss.item()
            plain_fscore(logits.argmax(1).cpu().numpy(), masks.cpu().numpy(), len(CLASSES))
        model.eval()
        scores = []
        with torch.no_grad():
            for images, masks in val_loader:
                logits = model(images.to(device))
                plain_loss(logits, masks.to(device)).item()
                predicted = logits.argmax(1).cpu().numpy()
                scores += [
                    plain_fscore(one, mask, len(CLASSES))
                    for one, mask in zip(predicted, masks.numpy(), strict=True)
                ]
        yield time.perf_counter() - started, float(np.mean(scores))


def run_ours(data: Path, size: int, batch: int, epochs: int, device: str, seed: int) -> Iterator[Epoch]:
    """Our trainer: training, validation, checkpoint and history."""
    config = configure(
        {
            "data.image_size": size,
            "data.eval_size": "train",
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


SIDES = {"ours": run_ours, "reference": run_reference}


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
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


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
    speeds = f"{spread(ours, '.1f')} | {spread(reference, '.1f')} | {spread(ratios, '.2f')}"
    return (
        f"| {size} | {batch} | {speeds} | {peaks[0]:.0f} / {peaks[1]:.0f} MiB | {spread(memory, '.2f')} |"
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
    parser.add_argument("--images", type=int, default=96, help="drawn faces where no --data is given")
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
        print("| px | batch | ours, images/s | reference, images/s | ratio | peak memory | memory ratio |")
        print("|---|---|---|---|---|---|---|")
        for size in arguments.sizes:
            print(compare(arguments, data, images, size), flush=True)


if __name__ == "__main__":
    main()
