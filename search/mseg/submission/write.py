"""`search submit`: the zip that the challenge takes, checked before it is there.

The masks are made by the solution that is handed in, in a process that cannot import this program; of a few
images it is then run again as the graders run it, and must give the same bytes. The zip is read by the same
checks as anybody's.
"""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from search.errors import SearchError, UserError
from search.mseg.config import Config
from search.mseg.data.layout import IMAGE_SUFFIXES
from search.mseg.models.model import trainable
from search.mseg.standalone.model_file import model_files
from search.mseg.submission.alone import write_mask, write_masks
from search.mseg.submission.check import CLASSES, MASKS, SOLUTION, check_submission, image_sizes
from search.mseg.submission.run_file import run_source
from search.mseg.submission.solution import CAP, KEY, REQUIREMENTS, RUN, WEIGHTS
from search.mseg.weights import TrainedModel, load_checked

RUN_AGAIN = 3
"""Images whose masks are made once more as the graders make them."""


def write_submission(
    config: Config | None, weights: Path, images: Path, path: Path, report: Callable[[int, int], None]
) -> int:
    """Writes the zip at `path` for the images in a folder; returns how many masks it has.

    Args:
        report: called with the number of masks made, and of all, after each.

    Raises:
        UserError: an image cannot be read, or the model is none that the challenge takes.
        SearchError: the solution does not run by itself, or the zip is not right.
    """
    trained = load_checked(config, weights)
    _check_model(trained)
    image_sizes(images)  # raises where something is wrong with the folder
    files = sorted(each for each in images.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES)
    with TemporaryDirectory(prefix="search-") as temporary:
        folder = Path(temporary)
        solution, masks = folder / SOLUTION, folder / MASKS
        solution.mkdir()
        masks.mkdir()
        _write_solution(trained, solution)
        wanted = {image: masks / f"{image.stem}.png" for image in files}
        for done, _ in enumerate(write_masks(solution, wanted), 1):
            report(done, len(files))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in [*wanted.values(), *sorted(solution.glob("*.*"))]:
                archive.write(file, f"{file.parent.name}/{file.name}")
        _check(path, images, files[:: max(1, len(files) // RUN_AGAIN)][:RUN_AGAIN])
    return len(files)


def _check_model(trained: TrainedModel) -> None:
    count = trainable(trained.model)
    if count >= CAP:
        raise UserError(
            f"submit: the model has {count:,} parameters; the challenge allows fewer than {CAP:,}. Choose "
            "another --trial, or search with model.max_parameters"
        )
    if len(trained.classes) != CLASSES:
        raise UserError(
            f"submit: the model has {len(trained.classes)} classes and the challenge {CLASSES}; choose a "
            "model that was trained on the challenge's data"
        )


def _write_solution(trained: TrainedModel, folder: Path) -> None:
    code = model_files(trained, WEIGHTS)
    for name, source in {RUN: run_source(trained), **code.sources}.items():
        (folder / name).write_text(source, encoding="utf-8")
    needs = dict.fromkeys((*code.needs, "pillow", "numpy"))
    (folder / REQUIREMENTS).write_text("".join(f"{name}\n" for name in needs), encoding="utf-8")
    tensors = {name: tensor.contiguous() for name, tensor in trained.model.state_dict().items()}
    torch.save({KEY: tensors}, folder / WEIGHTS)


def _check(path: Path, images: Path, again: Sequence[Path]) -> None:
    """Raises SearchError where the zip would score less than its masks deserve."""
    checked = check_submission(path, images)
    if checked.problems:
        raise SearchError(f"submit: the zip is not right, nothing is written: {checked.problems[0]}")
    with TemporaryDirectory(prefix="search-") as temporary:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(temporary)
        for image in again:
            mask = Path(temporary) / "again.png"
            write_mask(Path(temporary) / SOLUTION, image, mask)
            if mask.read_bytes() != (Path(temporary) / MASKS / f"{image.stem}.png").read_bytes():
                raise SearchError(
                    f"submit: run.py gives another mask of {image.name} when it runs again; nothing is "
                    "written"
                )
