"""A trained model as an ONNX file for images of any size, compared with the model before it is written.

The extra `[onnx]` installs what this needs.
"""

import warnings
from importlib.util import find_spec
from pathlib import Path

import torch

from search.errors import SearchError, UserError
from search.mseg.config import Config
from search.mseg.weights import load_checked

NEEDED = ("onnx", "onnxruntime")
OPSET = 17
TRACED = (40, 72)
"""Sides that are multiples of 8 and of nothing more: what is traced has the padding that others need."""

TOLERANCE = 1e-4
"""Most by which a logit of the file may differ from the model's."""


def export_onnx(config: Config | None, weights: Path, path: Path) -> None:
    """Writes the ONNX file: `images` (B, 3, H, W) in [0, 1] to `logits` (B, C, H, W), sides multiples of 8.

    Raises:
        UserError: the extra is not installed.
        SearchError: PyTorch cannot export the model, or the file gives other logits.
    """
    trained = load_checked(config, weights)
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UserError(
            f"--onnx: needs {' and '.join(missing)}; install them with pip install 'mseg-search[onnx]'"
        )
    axes = {0: "batch", 2: "height", 3: "width"}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # what depends on sides is traced as it should be: see TRACED
            torch.onnx.export(
                trained.model,
                (torch.rand(1, 3, *TRACED),),
                path,
                dynamo=False,  # a twentieth of the time, and it needs no further package
                input_names=["images"],
                output_names=["logits"],
                dynamic_axes={"images": axes, "logits": axes},
                opset_version=OPSET,
            )
    except Exception as error:  # an exporter can raise anything
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise SearchError(f"--onnx: PyTorch cannot export {trained.config.chosen}: {cause}") from error
    for size in (trained.fitting.size, (72, 104)):
        difference = _difference(trained.model, path, size)
        if not difference <= TOLERANCE:
            shown = " x ".join(map(str, size))
            raise SearchError(
                f"--onnx: logits of the file differ by {difference:.2g} at {shown}; not written"
            )


def _difference(model: torch.nn.Module, path: Path, size: tuple[int, int]) -> float:
    """The largest difference of a logit between model and file, on an image of noise."""
    import onnxruntime

    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        return float((model(images) - torch.from_numpy(logits)).abs().max())
