"""Generated data folders as people have them: street scenes, VOC, binary, 16 bits of grey."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

STREET = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "light", "sign", "tree", "sky", "person",
    "car",
)  # fmt: skip
STREET_COLOURS = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
    (250, 170, 30), (220, 220, 0), (107, 142, 35), (70, 130, 180), (220, 20, 60), (0, 0, 142),
)  # fmt: skip


def scene(size: tuple[int, int], classes: int, rng: np.random.Generator) -> np.ndarray:
    """A mask of bands and boxes: class 0 below, the others in boxes above it."""
    mask = np.zeros(size, np.uint8)
    mask[: size[0] // 3] = classes - 1
    for _ in range(6):
        top, left = rng.integers(0, size[0] * 3 // 4), rng.integers(0, size[1] * 3 // 4)
        mask[top : top + size[0] // 4, left : left + size[1] // 4] = rng.integers(classes)
    return mask


def photo(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image (H, W, 3) in which a class has a tone of its own, and some noise."""
    tones = np.random.default_rng(1).integers(30, 226, (256, 3))
    return np.clip(tones[mask] + rng.normal(0, 12, (*mask.shape, 3)), 1, 255).astype(np.uint8)


def save(root: Path, name: str, image: Image.Image, mask: Image.Image) -> None:
    for kind, picture in (("images", image), ("masks", mask)):
        (root / "train" / kind).mkdir(parents=True, exist_ok=True)
        picture.save(root / "train" / kind / f"{name}.png")


def street(root: Path, count: int) -> None:
    """360 x 480, 12 classes, 255 ignored, no mirror pairs."""
    rng = np.random.default_rng(0)
    for index in range(count):
        mask = scene((360, 480), len(STREET), rng)
        image = photo(mask, rng)
        mask[-40:] = 255  # the bonnet
        save(root, f"street-{index:03d}", Image.fromarray(image), Image.fromarray(mask))
    (root / "dataset.yaml").write_text(
        f"classes: {list(STREET)}\nignore: 255\nmirror_pairs: []\n"
        f"colours: {[list(colour) for colour in STREET_COLOURS]}\n"
    )


def voc(root: Path, count: int) -> None:
    """21 classes in RGB, a border without a label, and sizes that differ."""
    rng = np.random.default_rng(0)
    colours = np.array([[index * 12, 255 - index * 11, index * 67 % 256] for index in range(21)], np.uint8)
    for index in range(count):
        mask = scene([(375, 500), (500, 333), (281, 500), (400, 400)][index % 4], 21, rng)
        edges = (np.diff(mask.astype(int), axis=0, prepend=mask[:1]) != 0) | (
            np.diff(mask.astype(int), axis=1, prepend=mask[:, :1]) != 0
        )
        labels = colours[mask]
        labels[edges] = (224, 224, 192)
        save(root, f"voc-{index:03d}", Image.fromarray(photo(mask, rng)), Image.fromarray(labels))
    (root / "dataset.yaml").write_text(
        f"classes: {[f'thing {index}' if index else 'background' for index in range(21)]}\n"
        f"mirror_pairs: []\ncolours: {colours.tolist()}\nignore: [224, 224, 192]\n"
    )


def binary(root: Path, count: int) -> None:
    """Masks of 1 bit."""
    rng = np.random.default_rng(0)
    for index in range(count):
        mask = scene((80, 96), 2, rng)
        save(root, f"{index:03d}", Image.fromarray(photo(mask, rng)), Image.fromarray(mask > 0))
    (root / "dataset.yaml").write_text("classes: [nothing, something]\nmirror_pairs: []\n")


def grey_16_bit(root: Path, count: int) -> None:
    """Images and masks of 16 bits of grey, 65535 ignored."""
    rng = np.random.default_rng(0)
    for index in range(count):
        mask = scene((64, 64), 4, rng)
        image = photo(mask, rng)[..., 0].astype(np.uint16) * 257
        labels = mask.astype(np.uint16)
        labels[:3] = 65535
        save(root, f"{index:03d}", Image.fromarray(image), Image.fromarray(labels))
    (root / "dataset.yaml").write_text("classes: [a, b, c, d]\nmirror_pairs: []\nignore: 65535\n")


KINDS: dict[str, Callable[[Path, int], None]] = {
    "street": street,
    "voc": voc,
    "binary": binary,
    "grey_16_bit": grey_16_bit,
}
