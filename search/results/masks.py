"""Masks for a folder of images: `search predict`. It continues where it stopped; no file is half-written.

OUT/NAME.png             the mask of NAME.jpg
OUT/overlays/NAME.jpg    with --overlay
OUT/prediction.json      whose masks these are: nothing else is continued here
OUT/scores.csv           with --score
"""

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from search.errors import DataError, UserError
from search.objective.results import MaskPredictor

DOCUMENT = "prediction.json"
OVERLAYS = "overlays"
SCORES = "scores.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictedImage:
    """One image of the folder.

    Attributes:
        kept: whether its mask was there already.
        fault: why it has no mask, or no score; None if it has both.
        scores: by name; empty unless it was scored.
    """

    image: Path
    kept: bool = False
    fault: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


def images_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The images of a folder by name.

    Raises:
        UserError: there is no such folder, no image in it, or two whose masks would have one name.
    """
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise UserError(f"--images: {folder}: {error.strerror}; name a folder of images") from error
    if not found:
        raise UserError(f"--images: {folder} has no {', '.join(suffixes)} file; name a folder of images")
    by_stem: dict[str, Path] = {}
    for path in found:
        if path.stem in by_stem:
            raise UserError(
                f"--images: {by_stem[path.stem].name} and {path.name} of {folder} would have one mask; "
                "rename one"
            )
        by_stem[path.stem] = path
    return found


def others_in(folder: Path, suffixes: Sequence[str]) -> list[str]:
    """Names of the files of a folder that are passed over for their suffix."""
    files = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    return [path.name for path in files if path.suffix.lower() not in suffixes]


def claim_masks(out: Path, predictor: MaskPredictor, flip: bool, title: str) -> None:
    """Makes `out` the folder of these masks.

    Raises:
        UserError: it holds something else, or masks of other weights.
    """
    path = out / DOCUMENT
    wanted = {"weights": predictor.identity, "flip": flip}
    if out.exists() and not out.is_dir():
        raise UserError(f"--out: {out} is a file; name a folder")
    if path.exists():
        try:
            before = json.loads(path.read_text())
            title, before = before["title"], {name: before[name] for name in wanted}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"--out: {path} cannot be read; name another folder") from error
        if before != wanted:
            tta = " with --tta flip" if before["flip"] else ""
            raise UserError(f"--out: {out} has masks by {title}{tta}; name another folder")
        return
    if out.exists() and any(out.iterdir()):
        raise UserError(f"--out: {out} holds something else; name a new or an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as beside:
        beside.write_text(json.dumps({**wanted, "title": title}, indent=1))


def predict_images(
    predictor: MaskPredictor,
    images: Sequence[Path],
    out: Path,
    *,
    overlay: bool = False,
    truth: Path | None = None,
) -> Iterator[PredictedImage]:
    """Writes the masks that are missing in `out`; an image that cannot be read is named and passed over.

    Args:
        truth: a folder of true masks to score against.
    """
    if overlay:
        (out / OVERLAYS).mkdir(exist_ok=True)
    for image in images:
        mask, picture = out / f"{image.stem}.png", out / OVERLAYS / f"{image.stem}.jpg"
        kept, scores = mask.exists(), {}
        try:
            if not kept:
                with whole_file(mask) as beside:
                    predictor.predict(image, beside)
            if overlay and not picture.exists():
                with whole_file(picture) as beside:
                    predictor.draw(image, mask, beside)
            if truth is not None:
                scores = dict(predictor.score(mask, truth / mask.name))
        except DataError as error:
            yield PredictedImage(image=image, kept=kept, fault=str(error))
        else:
            yield PredictedImage(image=image, kept=kept, scores=scores)


def write_scores(out: Path, results: Sequence[PredictedImage]) -> Path:
    """Writes `scores.csv`: a line per image that was scored; an empty field where a score has no value."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    scored = [each for each in results if each.scores]
    table.writerow(["image", *(scored[0].scores if scored else ())])
    for each in scored:
        cells = [f"{score:.6f}" if math.isfinite(score) else "" for score in each.scores.values()]
        table.writerow([each.image.name, *cells])
    with whole_file(out / SCORES) as beside:
        beside.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape")  # as names are
    return out / SCORES


def means(results: Sequence[PredictedImage]) -> dict[str, float]:
    """The mean of each score over the images that have one."""
    names = next((each.scores for each in results if each.scores), {})
    values = {
        name: [each.scores[name] for each in results if math.isfinite(each.scores.get(name, math.nan))]
        for name in names
    }
    return {name: sum(found) / len(found) for name, found in values.items() if found}


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write a file under; it becomes `path` at the end of this block, or nothing remains."""
    beside = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
