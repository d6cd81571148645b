"""A data folder in CelebAMask-HQ mini's layout.

    train/images/*.jpg, *.jpeg, *.png   any size and mode, read as RGB
    train/masks/*.png                   named like the images and of their size
    val/images, val/masks               if there is a validation set; else one is split off
    test/images, test/masks             if there is a labelled test split; read by `labelled_test` alone
    dataset.yaml                        if the classes are not CelebAMask-HQ's

A mask's pixel is a class: the palette INDEX in a palette PNG, the value in a greyscale one, and in an RGB
one the class whose colour it has. `search/mseg/data/description.py` says what dataset.yaml holds.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from search.errors import DataError, listed
from search.mseg.data.description import ASSUMED, DatasetDescription, described_in, read_description
from search.mseg.data.faults import FileFault, FileFaults

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")

MASK_SUFFIXES = (".png",)

PICTURE_SUFFIXES = {
    *IMAGE_SUFFIXES,
    *[".tif", ".tiff", ".bmp", ".gif", ".webp", ".avif", ".heic", ".jfif", ".npy"],
}
"""Of files that look like data, whether they are read or not."""

TEST = "test"


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of an image and its mask."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class DataFolder:
    """What a data folder holds.

    Attributes:
        train: sorted by file name. val: the same of `val`, None where there is no such folder.
        described: dataset.yaml, or dataset.yml; None where CelebAMask-HQ's classes are assumed.
        unread: sentences about what looks like data and is not read.
    """

    root: Path
    train: tuple[ImageFiles, ...]
    val: tuple[ImageFiles, ...] | None
    dataset: DatasetDescription
    described: Path | None
    unread: tuple[str, ...] = ()


def scan(root: Path | None) -> DataFolder:
    """Finds the pairs and classes of a folder, without opening an image.

    Raises:
        DataError: no folder, no images, an image or a mask without its other half, a wrong dataset.yaml.
    """
    if root is None:
        raise DataError("no data folder: name one with --data or SEARCH_DATA")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name one with --data or SEARCH_DATA")
    described = described_in(root)
    dataset = read_description(described) if described else ASSUMED
    faults: list[FileFault] = []
    train = _pairs(root / "train", faults)
    val = _pairs(root / "val", faults) if (root / "val").exists() else None
    if faults:
        raise FileFaults(faults)
    return DataFolder(root, train, val, dataset, described, tuple(_unread(root, val is not None)))


def _unread(root: Path, has_val: bool) -> Iterator[str]:
    """What looks like data and is not read: other formats, folders below, a split under another name."""
    for part in ("train", "val") if has_val else ("train",):
        for kind, suffixes in (("images", IMAGE_SUFFIXES), ("masks", MASK_SUFFIXES)):
            directory = root / part / kind
            others = [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")]
            unread = PICTURE_SUFFIXES - {*suffixes}
            pictures = [path.name for path in others if path.suffix.lower() in unread]
            folders = [path.name for path in others if not path.suffix and path.is_dir()]
            if pictures:
                yield (
                    f"{directory}: pictures that are not read: {listed(pictures)}; "
                    f"{kind} are {', '.join(suffixes)} files"
                )
            if folders:
                yield f"{directory}: folders in it are not read ({listed(folders)}); move their files up"
    for path in sorted(root.iterdir()):
        if path.name in ("train", "val", TEST):
            continue
        with suppress(OSError):  # a folder of somebody else's
            if _holds(path / "images", IMAGE_SUFFIXES) and _holds(path / "masks", MASK_SUFFIXES):
                val = "" if has_val else "; a validation set is called val"
                yield f"{path}: its images and masks are not read{val}"


def labelled_test(root: Path) -> tuple[ImageFiles, ...]:
    """The pairs of the labelled test split, sorted by the image's file name.

    Raises:
        DataError: there is none; images without masks are none.
    """
    part = root / TEST
    if not _holds(part / "masks", MASK_SUFFIXES):
        masks = f"put them into {part / 'masks'}, named like the images, or omit --final"
        if _holds(part / "images", IMAGE_SUFFIXES):
            raise DataError(f"{part}: images without masks are no labelled test split; {masks}")
        raise DataError(f"{part}: no labelled test split: no images with masks; {masks}")
    faults: list[FileFault] = []
    pairs = _pairs(part, faults)
    if faults:
        raise FileFaults(faults)
    return pairs


def _holds(directory: Path, suffixes: Sequence[str]) -> bool:
    return directory.is_dir() and any(path.suffix.lower() in suffixes for path in directory.iterdir())


def _pairs(part: Path, faults: list[FileFault]) -> tuple[ImageFiles, ...]:
    """The pairs of `train`, `val` or `test`, sorted by file name; adds to `faults`."""
    images = _by_stem(part / "images", IMAGE_SUFFIXES, faults)
    masks = _by_stem(part / "masks", MASK_SUFFIXES, faults)
    if not images:
        raise DataError(f"{part / 'images'}: no {', '.join(IMAGE_SUFFIXES)} file in it")
    for stem in sorted(images.keys() - masks.keys()):
        sentence = f"no mask {part / 'masks' / stem}.png; add it or remove the image"
        faults.append(FileFault(images[stem], "no mask", sentence))
    orphans = sorted(masks.keys() - images.keys())
    unread = {path.stem: path.name for path in (part / "images").iterdir()} if orphans else {}
    for stem in orphans:
        sentence = f"no image {part / 'images' / stem}.jpg or .png; add it or remove the mask"
        if stem in unread:
            sentence = f"its image {unread[stem]} is not read; save that as .jpg or .png"
        faults.append(FileFault(masks[stem], "no image", sentence))
    both = sorted((path, masks[stem]) for stem, path in images.items() if stem in masks)
    return tuple(ImageFiles(image.stem, image, mask) for image, mask in both)


def stem_of(path: PurePath) -> str:
    """The name without suffix by which an image and its mask are a pair.

    Unicode has two forms of most accented letters, and macOS archives have the other one (NFD).
    """
    return unicodedata.normalize("NFC", path.stem)


def is_text(name: str) -> bool:
    """Whether a file's name can be written into a line of a file."""
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return False
    return not any(unicodedata.category(letter) == "Cc" for letter in name)


def _by_stem(directory: Path, suffixes: Sequence[str], faults: list[FileFault]) -> dict[str, Path]:
    by_stem: dict[str, Path] = {}
    try:
        for path in sorted(directory.iterdir()):
            if path.suffix.lower() in suffixes and not path.name.startswith("."):
                stem = stem_of(path)
                if not is_text(path.name):
                    faults.append(FileFault(path, "name", "its name is no line of UTF-8 text; rename it"))
                elif stem in by_stem:
                    sentence = f"{by_stem[stem].name} has the same name; remove one of them"
                    faults.append(FileFault(path, "same name", sentence))
                else:
                    by_stem[stem] = path
    except OSError as error:
        layout = "the layout is train/images/*.jpg with train/masks/*.png"
        raise DataError(f"{directory}: {error.strerror or error}; {layout}") from error
    return by_stem
