"""The commands that make a result of a search, as far as its objective offers them."""

import contextlib
import shlex
import sys
from pathlib import Path

from search.errors import SpaceError
from search.loading import load_objective

TEST_IMAGES = Path("test", "images")


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
    images = None if data is None or not (data / TEST_IMAGES).is_dir() else data / TEST_IMAGES
    flags = f"--study {study} --images {'IMAGES' if images is None else shlex.quote(str(images))}"
    commands = []
    if callable(getattr(module, "predictor", None)):
        commands.append(f"search predict {flags} --out masks")
    if callable(getattr(module, "write_submission", None)) and images is not None:
        commands.append(f"search submit {flags} --out submission.zip")
    return commands
