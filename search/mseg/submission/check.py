"""`search submit --check`: what is wrong with a submission by the rules of the challenge.

    masks/NAME.png              one per test image: single channel, the pixel is the class, the image's size
    solution/run.py             python run.py --input IMAGE --output MASK [--weights ckpt.pth]
    solution/ckpt.pth           torch.load gives a dict with `state_dict`
    solution/requirements.txt
    solution/...                what run.py imports; nothing of this program

Masks under other names, of another size or in colours score 0 without an error. A problem that many files
share is one sentence.
"""

import io
import warnings
from collections.abc import Mapping
from contextlib import closing
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import ExifTags, Image

from search.errors import UserError, listed
from search.mseg.data.layout import IMAGE_SUFFIXES, stem_of
from search.mseg.submission.archive import Archive, is_litter
from search.mseg.submission.solution import check_solution
from search.objective.results import CheckedSubmission

MASKS, SOLUTION = "masks", "solution"
CLASSES = 19
MOST_PIXELS = 64 * 2**20
SIDEWAYS = range(5, 9)
"""EXIF orientations of images whose width and height change places."""

Size = tuple[int, int]
"""Width and height in pixels."""


def check_submission(path: Path, images: Path | None) -> CheckedSubmission:
    """Every problem of the zip at `path`, whoever made it.

    Args:
        images: the folder with the test images; None: names, number and sizes of masks are not checked.

    Raises:
        UserError: the zip is missing or none, or `images` has no images.
    """
    sizes = None if images is None else image_sizes(images)
    with closing(Archive(path)) as archive:
        _check_folders(archive)
        masks = _check_masks(archive, sizes)
        parameters = check_solution(archive, f"{SOLUTION}/")
    return CheckedSubmission(
        path=path,
        masks=masks,
        images=None if sizes is None else len(sizes),
        parameters=parameters,
        problems=archive.problems,
    )


def image_sizes(folder: Path) -> dict[str, Size]:
    """The size of each image in `folder` by its name without suffix, as it is seen.

    Raises:
        UserError: there is no such folder, no image in it, two of one name, or one that cannot be read.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    except OSError as error:
        raise UserError(f"--images: {folder}: {error.strerror}; name the folder of test images") from error
    if not files:
        raise UserError(f"--images: {folder} has no {', '.join(IMAGE_SUFFIXES)}; name the test images")
    sizes: dict[str, Size] = {}
    for path in files:
        if stem_of(path) in sizes:
            raise UserError(f"--images: {folder} has two images {path.stem!r}; keep one")
        try:
            with Image.open(path) as image:
                width, height = image.size
                turned = image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
        except Exception as error:  # a damaged image can raise anything
            raise UserError(f"--images: {path} cannot be read ({error}); copy it again") from error
        sizes[stem_of(path)] = (height, width) if turned else (width, height)
    return sizes


def _check_folders(archive: Archive) -> None:
    """Everything must be in `masks` or `solution`, under exactly these names."""
    litter = [name for name in archive.names if is_litter(name)]
    if litter:
        archive.problem(listed(litter), "does not belong here", "remove it from the zip")
    others: dict[str, list[str]] = {}
    for name in archive.names:
        top, slash, _ = name.partition("/")
        if (top not in (MASKS, SOLUTION) or not slash) and not is_litter(name):
            others.setdefault(top + slash, []).append(name)
    for place, names in others.items():
        near = get_close_matches(place.rstrip("/").lower(), (MASKS, SOLUTION), n=1)
        count = f" ({len(names)} files)" if place.endswith("/") else ""
        remedy = f"rename it to {near[0]}/" if near and place.endswith("/") else "remove it"
        archive.problem(place, f"is not {MASKS}/ or {SOLUTION}/{count}", remedy)


def _check_masks(archive: Archive, sizes: Mapping[str, Size] | None) -> int:
    """How many masks there are; problems go into the archive."""
    files = [
        name.removeprefix(f"{MASKS}/")
        for name in archive.names
        if name.startswith(f"{MASKS}/") and not is_litter(name)
    ]
    masks = [name for name in files if "/" not in name and name.endswith(".png")]
    if not masks:
        archive.problem(f"{MASKS}/", "has no NAME.png", "put in a mask for every test image")
    if strange := [name for name in files if name not in masks]:
        archive.problem(
            f"{MASKS}/{listed(strange)}", "is no NAME.png of masks/", "a mask is masks/NAME.png, as a PNG"
        )
    wanted = masks
    if sizes is not None:
        wanted = [name for name in masks if stem_of(PurePosixPath(name)) in sizes]
        present = {stem_of(PurePosixPath(name)) for name in masks}
        missing, unknown = [name for name in sizes if name not in present], sorted(present - sizes.keys())
        if missing and masks:
            place = f"{MASKS}/{listed([f'{name}.png' for name in missing])}"
            archive.problem(
                place,
                f"missing, {len(missing)} of {len(sizes)}",
                "without its mask an image scores 0; a mask has its image's name",
            )
        if unknown:
            archive.problem(
                f"{MASKS}/{listed([f'{name}.png' for name in unknown])}",
                "no image has this name",
                "name masks as their images",
            )
    faults: dict[tuple[str, str], list[str]] = {}
    for name in wanted:
        content = archive.read(f"{MASKS}/{name}")
        size = None if sizes is None else sizes[stem_of(PurePosixPath(name))]
        if content is not None and (fault := mask_fault(content, size)):
            faults.setdefault(fault, []).append(name)
    for (text, remedy), names in faults.items():
        count = f" ({len(names)} masks)" if len(names) > 1 else ""
        archive.problem(f"{MASKS}/{listed(names)}", f"{text}{count}", remedy)
    return len(masks)


def mask_fault(content: bytes, size: Size | None) -> tuple[str, str] | None:
    """What is wrong with the bytes of a mask, and what to do; None if nothing is."""
    again = "write it again"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its size is looked at below
            image = Image.open(io.BytesIO(content), formats=["PNG"])
    except Exception:  # damaged bytes can raise anything
        return "is no PNG that can be read", "save masks as PNG; the name alone does not make it one"
    with image:
        if image.mode not in ("P", "L"):
            return (
                f"has mode {image.mode}, which scores 0",
                "save one channel, mode P or L, that holds the class, not its colour",
            )
        if size is not None and image.size != size:
            shown = " x ".join(map(str, image.size))
            return f"is {shown} and its image {size[0]} x {size[1]}", "give it the size of its image"
        if image.width * image.height > MOST_PIXELS:
            return f"has {image.width * image.height} pixels", again
        if getattr(image, "n_frames", 1) > 1:
            return "is an animation", again
        try:
            highest = int(np.asarray(image).max())
        except Exception:  # as above
            return "is damaged", again
    if highest >= CLASSES:
        return (f"holds the value {highest}", f"save the class, 0 to {CLASSES - 1}, not a grey tone")
    return None
