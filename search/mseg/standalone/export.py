"""The stock objective's part in `search export`: weights and code that load with PyTorch alone."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch

from search.mseg.config import Config
from search.mseg.models.model import trainable
from search.mseg.standalone.model_file import model_files
from search.mseg.weights import TrainedModel, load_checked
from search.objective.results import ExportedModel

WEIGHTS = "weights.safetensors"

USAGE = """\
```python
from model import load

model = load()           # reads {weights} beside model.py; needs {needs}
logits = model(images)   # images (B, 3, {height}, {width}): RGB, float, 0 to 1
masks = logits.argmax(1)
```

`logits` are (B, {classes}, H, W) for images of any size whose sides are multiples of 8. The model was
trained on images that were {fit} to {height} x {width} pixels, with Pillow's bilinear filter;
other sizes may work less well."""

FITS = {True: "scaled with their aspect ratio and padded with black", False: "stretched"}


def export_model(config: Config | None, weights: Path, folder: Path) -> ExportedModel:
    """Writes `weights.safetensors` and `model.py` into `folder`, and what that imports."""
    trained = load_checked(config, weights)
    tensors = {name: tensor.contiguous() for name, tensor in trained.model.state_dict().items()}
    about = {name: json.dumps(value) for name, value in _about(trained).items()}
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(tensors, about))
    code = model_files(trained, WEIGHTS)
    for name, source in code.sources.items():
        (folder / name).write_text(source, encoding="utf-8")
    height, width = trained.fitting.size
    usage = USAGE.format(
        weights=WEIGHTS,
        needs=" and ".join(code.needs),
        height=height,
        width=width,
        classes=len(trained.classes),
        fit=FITS[trained.fitting.pad],
    )
    return ExportedModel(facts={**facts_of(trained), "needs": list(code.needs)}, usage=usage)


def facts_of(trained: TrainedModel) -> dict[str, Any]:
    """What there is to say about a model, as JSON has it."""
    return {
        "kind": trained.config.chosen,
        "options": dict(trained.config.options),
        "parameters": trainable(trained.model),
        "classes": list(trained.classes),
        "colours": trained.colours.tolist(),
        "mirror_pairs": trained.mirror_pairs and [list(pair) for pair in trained.mirror_pairs],
        "image_size": list(trained.fitting.size),
        "fit": "pad" if trained.fitting.pad else "resize",
        "epoch": trained.epoch,
    }


def _about(trained: TrainedModel) -> dict[str, Any]:
    """The metadata by which this program reads the weights again."""
    facts = facts_of(trained)
    names = ("classes", "colours", "mirror_pairs", "image_size", "fit", "epoch")
    return {"model": trained.config.model_dump(), **{name: facts[name] for name in names}}
