"""The loop of the hand runs, the reference of `training_speed.py`: written here from its description.

What it does is what those runs did: two loader processes decode every image with PIL in every epoch and
augment it on the CPU (flip, rotation, colours); AdamW in float32; cross-entropy and Dice over all classes;
gradients clipped; predictions moved to the CPU after every batch for an F-score in NumPy that pools the
batch. The model is computed as it is written down: attention matrices, 128 channels upsampled before the
head.

Where the description leaves a choice, the faster one on a CPU is taken, so that no speed-up is won from
a slow reference: loader processes that stay, channels-last tensors, attention as two matrix products,
one softmax for both terms of the loss, one-hot targets by `scatter_`, and an F-score by one `bincount`.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.layout import ImageFiles, scan
from search.mseg.models.microsegformer import STAGES

WIDTHS, BLOCKS = (32, 64, 128, 192), (1, 2, 2, 2)
LEARNING_RATE, WEIGHT_DECAY, DROPOUT, DICE_WEIGHT = 8e-4, 1e-4, 0.15, 1.5

Epoch = tuple[float, float]
"""Seconds, validation included, and the validation's mean F per image."""

# -- data ----------------------------------------------------------------------------------------


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
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)
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
        if random.random() < 0.5:
            image = ImageEnhance.Brightness(image).enhance(random.uniform(0.8, 1.2))
            image = ImageEnhance.Contrast(image).enhance(random.uniform(0.8, 1.2))
            image = ImageEnhance.Color(image).enhance(random.uniform(0.9, 1.1))
        return image, mask


# -- model, loss, metric --------------------------------------------------------------------------


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
    """Cross-entropy plus DICE_WEIGHT x (1 - mean soft Dice per image and class, absent ones too)."""
    log_share = logits.log_softmax(1)
    share = log_share.exp()
    one_hot = torch.zeros_like(share).scatter_(1, target[:, None], 1)
    overlap, total = (share * one_hot).sum((2, 3)), share.sum((2, 3)) + one_hot.sum((2, 3))
    dice = (2 * overlap + 1e-8) / (total + 1e-8)
    return F.nll_loss(log_share, target) + DICE_WEIGHT * (1 - dice.mean())


def plain_fscore(prediction: NDArray[np.int64], target: NDArray[np.int64], classes: int) -> float:
    """Mean F of the classes in `target`, pixels pooled; both of any one shape."""
    pairs = np.bincount((classes * target + prediction).ravel(), minlength=classes**2)
    confusion = pairs.reshape(classes, classes)
    hit, said, held = np.diag(confusion), confusion.sum(0), confusion.sum(1)
    precision, recall = hit / (said + 1e-7), hit / (held + 1e-7)
    score = 2 * precision * recall / (precision + recall + 1e-7)
    return float(score[held > 0].mean())


# -- the loop ------------------------------------------------------------------------------------


def run_hand_run_loop(
    data: Path, size: int, batch: int, epochs: int, device: str, seed: int
) -> Iterator[Epoch]:
    """Trains on nine tenths of `data` and validates on the rest, an epoch at a time."""
    random.seed(seed)
    torch.manual_seed(seed)
    pairs = list(scan(data).train)
    order = np.random.RandomState(42).permutation(len(pairs))
    held_out = round(len(pairs) * 0.1)
    chosen = [pairs[index] for index in order[: len(pairs) - held_out]]
    train_set = Faces(chosen, size, augmented=True)
    val_set = Faces([pairs[index] for index in order[len(pairs) - held_out :]], size, augmented=False)
    loader = DataLoader(
        train_set, batch, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )
    val_loader = DataLoader(val_set, batch, num_workers=2, persistent_workers=True)
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
