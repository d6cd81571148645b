"""What an objective may offer for `search predict`, `export` and `submit`; all of it is optional.

    predictor(config, weights, device, flip) -> MaskPredictor
    export_model(config, weights, folder) -> ExportedModel
    export_onnx(config, weights, path) -> None
    write_submission(config, weights, images, path, report) -> number of masks
    check_submission(path, images) -> CheckedSubmission

`weights` is a file that `train` left for `config`; or a file or folder that the user named, and `config` is
None. Each raises DataError, in one line, where they cannot be used, and writes only where it is told to.
`export_model` writes files that load without this program, `export_onnx` an ONNX file that it has compared
with the model. `write_submission` makes and checks all that is handed in for the folder `images`, and calls
`report(done, total)` as it goes on. `check_submission` says what is wrong with such a file, whoever made
it; `images` is the folder it is for, or None. With `flip`, a predictor predicts the mirror image, too, and
takes the mean of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol


class MaskPredictor(Protocol):
    """Trained weights that predict masks of images in files.

    Attributes:
        identity: a text that changes with anything in the weights that changes a mask.
        suffixes: of the names of image files, in lower case.
    """

    identity: str
    suffixes: Sequence[str]

    def predict(self, image: Path, mask: Path) -> None:
        """Writes `mask`, a PNG in the image's own size; raises DataError where the image cannot be read."""

    def draw(self, image: Path, mask: Path, overlay: Path) -> None:
        """Draws a mask over its image: a JPEG."""

    def score(self, mask: Path, truth: Path) -> Mapping[str, float]:
        """Scores of a mask by name; raises DataError where the true mask cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedModel:
    """What `export_model` wrote.

    Attributes:
        facts: about the model by name, as JSON has them.
        usage: Markdown: how to load it, and what images it expects.
    """

    facts: Mapping[str, Any]
    usage: str


@dataclass(frozen=True, slots=True)
class SubmissionProblem:
    """What is wrong with a submission, and what to do.

    Attributes:
        place: a name in the zip, or several in words.
    """

    place: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}; {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSubmission:
    """What a submission holds, and what is wrong with it.

    Attributes:
        masks: how many there are. images: how many there should be; None if that is not known.
        parameters: trainable ones of its weights; None if they could not be read.
    """

    path: Path
    masks: int
    images: int | None
    parameters: int | None
    problems: Sequence[SubmissionProblem]

    def to_json(self) -> dict[str, Any]:
        """The object of `search submit --check --json`."""
        return {
            "zip": str(self.path),
            "ok": not self.problems,
            "masks": self.masks,
            "images": self.images,
            "parameters": self.parameters,
            "problems": [asdict(each) for each in self.problems],
        }
