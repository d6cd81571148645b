"""What looks wrong with data that can be trained on.

Images on both sides of the split make a score too good. And a flip that leaves labels as they are
teaches that left is right wherever two classes sit mirror-wise, such as a left and a right eye; a data
set should name such pairs. Where it names none they are looked for, and where it names some, or
CelebAMask-HQ's are assumed, they are held against where the classes sit.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.errors import listed
from search.mseg.data.contents import Content
from search.mseg.data.fitting import in_words
from search.mseg.data.labels import IGNORED
from search.mseg.data.layout import DataFolder, ImageFiles
from search.mseg.data.pictures import Noted, Notes

Shares = NDArray[np.float64]

AT_ONCE = 16  # masks
LOOK_AT = 200  # masks
LOOK_FOR_CLASSES = 2000  # masks, and fewer than twice as many: of a large set, every k-th
RESOLUTION = 128  # pixels to a side
CLOSE = 0.05  # of the side: how far from each other's mirror image two classes may be on average
ALIKE = 2.0  # largest ratio of their areas
AGREE = 0.8  # smallest share of the images showing both that have them on the same sides
FEW = 8  # images showing both: with fewer, no named pair is doubted
FAR = 0.15  # of the side: a named pair this far from each other's mirror image on average is doubted


def leaks(
    train: Sequence[ImageFiles], val: Sequence[ImageFiles], known: Mapping[Path, Content]
) -> list[str]:
    """Says which validation images are trained on."""
    trained_on = {known[pair.image].sha256 for pair in train}
    leaked = [pair.image for pair in val if known[pair.image].sha256 in trained_on]
    if not leaked:
        return []
    return [f"{len(leaked)} of {len(val)} validation images are training images too, {leaked[0]} for one"]


def files_problems(files: Sequence[ImageFiles], notes: Notes, *, named: bool = True) -> list[str]:
    """Says which files were read in a way that may not be meant.

    Args:
        notes: (N,) flags of `Noted`, one for each of `files`.
        named: whether to name some of them.
    """
    problems = []
    for flag, sentence in FILES_PROBLEMS.items():
        names = [each.name for each, noted in zip(files, notes, strict=True) if noted & flag]
        if names:
            which = f" ({listed(names)})" if named else ""
            problems.append(f"{len(names)} of {len(files)} {sentence[0]}{which}{sentence[1]}")
    return problems


FILES_PROBLEMS = {
    Noted.TRANSPARENT: (
        "images have transparent pixels",
        ": transparency is ignored, and the colours stored there count",
    ),
    Noted.DARK: (
        "images have 16 bits but use less than a sixteenth of them",
        ": they are nearly black in 8 bits; stretch their values to 65535",
    ),
    Noted.BLURRED: (
        "masks have classes in between at their edges",
        ": they look interpolated, or saved as JPEG once; export them again without smoothing",
    ),
    Noted.OTHER_PALETTE: (
        "masks give an index another colour than the first mask does",
        ": a tool may have renumbered their classes; where it has, list `colours` in dataset.yaml and save "
        "the masks in RGB",
    ),
    Noted.UNLABELLED: (
        "masks are ignored throughout",
        ": they teach nothing and are not scored",
    ),
    Noted.EMPTY: (
        "masks hold class 0 only",
        ": correct them unless nothing is to be seen there",
    ),
}
"""The text before and after the names of the files."""


def label_problems(folder: DataFolder, masks: NDArray[np.uint8], notes: Notes) -> list[str]:
    """Says where the classes that occur are not the classes that there are."""
    classes = folder.dataset.classes
    looked_at = masks[:: max(1, len(masks) // LOOK_FOR_CLASSES)]
    # Of faces that are assumed to be CelebAMask-HQ's, some wear no hat.
    most = len(classes) if folder.described else len(classes) // 2 + 1
    occurring = _occurring(looked_at, len(classes), most)
    if 0 not in occurring:
        return [
            f"no training mask has class 0 ({classes[0]}), only {_ranges(occurring)}: "
            f"if the masks count from 1, subtract 1"
        ]
    if (notes & Noted.EMPTY > 0).all():
        return []  # `files_problems` says so
    if folder.described is None:
        if len(occurring) >= most:
            return []
        return [
            f"CelebAMask-HQ's {len(classes)} classes are assumed, but only {_ranges(occurring)} occur: "
            f"list the classes in {folder.root / 'dataset.yaml'}"
        ]
    absent = [number for number in range(len(classes)) if number not in occurring]
    if not absent:
        return []
    names = listed([classes[number] for number in absent])
    return [
        f"none of {len(looked_at)} training masks has class {_ranges(absent)} ({names}) at "
        f"{in_words(masks.shape[1:])} px: correct {folder.described} or the masks, or train on larger "
        "images"
    ]


def _occurring(masks: NDArray[np.uint8], classes: int, most: int) -> list[int]:
    """The classes that occur: all, or class 0 and `most` or more altogether."""
    seen = np.zeros(IGNORED + 1, bool)
    for start in range(0, len(masks), AT_ONCE):
        seen |= np.bincount(masks[start : start + AT_ONCE].ravel(), minlength=len(seen)) > 0
        if seen[0] and seen[:classes].sum() >= most:
            break
    return np.flatnonzero(seen[:classes]).tolist()


def _ranges(numbers: Sequence[int]) -> str:
    """`1 to 4, 7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def pair_problems(folder: DataFolder, masks: NDArray[np.uint8]) -> list[str]:
    """Says which classes a flip would confuse: unnamed pairs, and named ones that sit elsewhere."""
    if folder.dataset.mirror_pairs is None:
        return _unnamed_pairs(folder, masks)
    if not folder.dataset.mirror_pairs:
        return []  # the user says that there are none
    named = {frozenset(pair) for pair in folder.dataset.mirror_pairs}
    in_pairs = frozenset().union(*named)
    seen = [
        pair
        for pair in mirror_pairs(masks, len(folder.dataset.classes), at_least=FEW)
        # Beside the pairs of a dataset.yaml, others may sit mirror-wise and mean nothing by it.
        if frozenset(pair) not in named and (folder.described is None or in_pairs & set(pair))
    ]
    misplaced = _misplaced(folder, masks)
    in_seen = {number for pair in seen for number in pair}
    doubted = [
        pair for pair in folder.dataset.mirror_pairs if pair in misplaced or not in_seen.isdisjoint(pair)
    ]
    if not seen and not doubted:
        return []
    wrong = f"a flip exchanges classes {_named(folder, doubted)}" if doubted else ""
    if seen:
        sit = f"classes {_named(folder, seen)} sit mirror-wise"
        wrong = f"{sit}, but {wrong or 'a flip does not exchange them'}"
    else:
        wrong += ", which do not sit mirror-wise"
    right = sorted([*seen, *(pair for pair in folder.dataset.mirror_pairs if pair not in doubted)])
    where = folder.described or folder.root / "dataset.yaml"
    order = " and the classes in the masks' order" if folder.described is None else ""
    return [
        f"{wrong}: the masks seem to have another order of classes; "
        f"write `mirror_pairs: {[list(pair) for pair in right]}`{order} into {where}"
    ]


def _named(folder: DataFolder, pairs: Sequence[tuple[int, int]]) -> str:
    """`4 and 5 (left eye, right eye), ...`."""
    classes = folder.dataset.classes
    return ", ".join(f"{one} and {other} ({classes[one]}, {classes[other]})" for one, other in pairs)


def _misplaced(folder: DataFolder, masks: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """The named pairs whose classes are far from each other's mirror image."""
    area, x, y = _places(_thinned(masks), len(folder.dataset.classes))
    misplaced = []
    for one, other in folder.dataset.mirror_pairs or ():
        both = (area[:, one] > 0) & (area[:, other] > 0)
        if both.sum() < FEW:
            continue
        offsets = np.stack([x[both, one] + x[both, other] - 1, y[both, one] - y[both, other]])
        chance = 3 * np.hypot(*offsets.std(1)) / np.sqrt(both.sum())
        if np.hypot(*offsets.mean(1)) > FAR + chance:
            misplaced.append((one, other))
    return misplaced


def _unnamed_pairs(folder: DataFolder, masks: NDArray[np.uint8]) -> list[str]:
    classes = folder.dataset.classes
    found = mirror_pairs(masks, len(classes))
    if not found:
        return []
    names = ", ".join(f"{classes[one]} and {classes[other]}" for one, other in found)
    return [
        f"{names} sit mirror-wise, and a flip would give each the other's place under its own label: add "
        f"`mirror_pairs: {[list(pair) for pair in found]}` to {folder.described}, "
        f"or `mirror_pairs: []` if that is meant"
    ]


def mirror_pairs(masks: NDArray[np.uint8], classes: int, *, at_least: int = 1) -> list[tuple[int, int]]:
    """Pairs of classes, each class in one pair at most, the best mirrored first.

    Args:
        masks: (N, H, W) uint8, values below `classes`, and IGNORED. Class 0 is the background and
            never in a pair.
        at_least: masks that must show both classes of a pair.
    """
    area, x, y = _places(_thinned(masks), classes)

    candidates = []
    for one, other in combinations(range(1, classes), 2):
        both = (area[:, one] > 0) & (area[:, other] > 0)
        if both.sum() < at_least:
            continue
        (x1, x2), (y1, y2), (area1, area2) = (
            values[both][:, [one, other]].mean(0) for values in (x, y, area)
        )
        distance = np.hypot(x1 + x2 - 1, y1 - y2)
        right_of = (x[both, one] > x[both, other]).mean()
        if (
            distance < CLOSE
            and max(area1, area2) < ALIKE * min(area1, area2)
            and max(right_of, 1 - right_of) >= AGREE
            and abs(x1 - x2) > CLOSE
        ):
            candidates.append((distance, one, other))

    pairs: list[tuple[int, int]] = []
    for _, one, other in sorted(candidates):
        if not any(one in pair or other in pair for pair in pairs):
            pairs.append((one, other))
    return pairs


def _thinned(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As many masks and pixels as tell where classes sit."""
    step = max(1, masks.shape[1] // RESOLUTION)
    return masks[:: max(1, len(masks) // LOOK_AT), ::step, ::step]


def _places(masks: NDArray[np.uint8], classes: int) -> tuple[Shares, Shares, Shares]:
    """Area, mean x and mean y of each class in each mask, (N, classes), as shares; NaN where absent."""
    count, height, width = masks.shape
    labelled = masks != IGNORED
    cell = (masks + classes * np.arange(count)[:, None, None])[labelled]
    x = np.broadcast_to((np.arange(width) + 0.5) / width, masks.shape)[labelled]
    y = np.broadcast_to((np.arange(height)[:, None] + 0.5) / height, masks.shape)[labelled]
    pixels, sum_x, sum_y = (
        np.bincount(cell, weights, minlength=count * classes).reshape(count, classes)
        for weights in (None, x, y)
    )
    with np.errstate(invalid="ignore"):
        return pixels / (height * width), sum_x / pixels, sum_y / pixels
