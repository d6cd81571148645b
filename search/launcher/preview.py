"""`search check --show-augmentation`: a picture of training examples before and after augmentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import UserError
from search.loading import configure, load_objective
from search.objective import Value
from search.spec.spec import Spec

FLAG = "--show-augmentation"


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture in `file`, and the values at which it shows what is searched."""

    file: Path
    searched: Mapping[str, Value]

    @property
    def sentence(self) -> str:
        shown = "; what is searched is shown at its highest value" if self.searched else ""
        return f"{self.file}{shown}"

    def to_json(self) -> dict[str, Any]:
        return {"file": str(self.file), "searched": dict(self.searched)}


def check_picture(file: Path) -> None:
    """UserError where no PNG file can be written, before any data are read."""
    if file.suffix.lower() != ".png":
        raise UserError(f"{FLAG}: {file} does not end in .png; give the name of a PNG file")
    if file.is_dir():
        raise UserError(f"{FLAG}: {file} is a folder; give the name of a PNG file")
    beside = _beside(file)
    try:
        beside.open("wb").close()
        beside.unlink()
    except OSError as error:
        raise UserError(
            f"{FLAG}: {file}: {error.strerror}; give a file in a folder that is writable"
        ) from error


def preview(spec: Spec, data: Path | None, file: Path) -> Preview:
    """Has the objective draw into `file`; what is searched has its highest value or last choice.

    Raises:
        UserError: the objective does not draw its augmentation.
    """
    objective = load_objective(spec.objective)
    draw = getattr(objective, "show_augmentation", None)
    if draw is None:
        raise UserError(
            f"{FLAG}: {spec.objective} has no show_augmentation(config, data, path); omit the flag"
        )
    lowest, *others = spec.space.corners()
    params = others[0] if others else lowest  # the second is the highest; without a search there is but one
    beside = _beside(file)
    try:
        draw(configure(objective, params), data, beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    return Preview(file, {name: params[name] for name in spec.space.by_name if name in params})


def _beside(file: Path) -> Path:
    return file.with_name(f".{file.stem}.tmp.png")  # who draws may go by the ending
