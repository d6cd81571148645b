"""The commands that make a result of a search, as far as its objective offers them."""

import contextlib
import shlex
import sys
from pathlib import Path

from search.errors import SpaceError
from search.loading import load_objective


def folder_of_test_images(data: Path | None) -> Path | None:
    """The folder of test images in a data folder; None where there is none."""
    images = None if data is None else data / "test" / "images"
    return images if images is not None and images.is_dir() else None


def result_commands(objective: str, study: str, data: Path | None) -> list[str]:
    """`search predict` and `search submit` for a study's best; none without its objective on this machine.

    Args:
        objective: its name. data: the data folder, whose test images are used if it has any.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout may be a command's JSON
            module = load_objective(objective)
    except SpaceError:
        return []
    images = folder_of_test_images(data)
    flags = f"--study {study} --images {'IMAGES' if images is None else shlex.quote(str(images))}"
    commands = []
    if callable(getattr(module, "predictor", None)):
        commands.append(f"search predict {flags} --out masks")
    if callable(getattr(module, "write_submission", None)) and images is not None:
        commands.append(f"search submit {flags} --out submission.zip")
    return commands
