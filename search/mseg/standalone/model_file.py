"""`model.py`: a trained model's code in one file that needs PyTorch alone, with its options and classes.

A network of `model.kind: import` stays where it is: `model.py` imports it. If it is in a single file of the
user's own, a copy of it is put beside.
"""

import ast
import inspect
import pprint
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from search.mseg.models.imported import Imported, WrappedNetwork
from search.mseg.models.model import SegmentationModel
from search.mseg.standalone.bundle import bundle, imported_packages
from search.mseg.standalone.safetensors_file import read_safetensors
from search.mseg.weights import TrainedModel

DOCUMENT = '''\
"""{title}, trained by mseg-search: its code with the options of these weights. It needs {needs}.

    from model import load

    model = load()
    logits = model(images)  # images (B, 3, H, W): RGB, 0 to 1, of IMAGE_SIZE; logits (B, C, H, W)
"""

from __future__ import annotations

{code}

CLASSES = {classes}
IMAGE_SIZE = {size}
"""Height and width of the images that it was trained on."""


def load(path: str | Path = Path(__file__).with_name("{weights}")) -> SegmentationModel:
    """The trained model, in evaluation mode."""
    model = {built}
    model.load_state_dict({read})
    return model.eval()
'''

READERS = {
    ".safetensors": "read_safetensors(path)",
    ".pth": 'torch.load(path, map_location="cpu", weights_only=True)["state_dict"]',
}
"""How `load` reads a file of weights, by its suffix."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The code of a model.

    Attributes:
        sources: `model.py`, and what it imports beside the packages, by name.
        needs: names of the packages to install.
    """

    sources: dict[str, str]
    needs: tuple[str, ...]


def model_files(trained: TrainedModel, weights: str) -> ModelFiles:
    """The code for weights that will be beside it under the name `weights`."""
    suffix, count = Path(weights).suffix, len(trained.classes)
    options: Mapping[str, Any] = trained.config.options
    kind: Any = trained.config.entry
    wanted = [(SegmentationModel.__module__, SegmentationModel.__name__), (__name__, "Path")]
    if suffix == ".safetensors":
        wanted.append((read_safetensors.__module__, read_safetensors.__name__))
    else:
        wanted.append((__name__, "torch"))
    if isinstance(trained.model, Imported):
        network = type(trained.model.network)
        sources, needs = _own_file(network)
        title, kind = network.__qualname__, WrappedNetwork
        given = {**(options["arguments"] or {}), options["classes_as"]: count}
        built = f"{kind.__name__}({title}({_written(given)}))"
        imported = f"\nfrom {network.__module__} import {title}\n"
    else:
        imported = ""
        title, sources, needs = kind.__name__, {}, ("torch",)
        built = f"{title}({count}, {_written(options)})"
    text = DOCUMENT.format(
        title=title,
        needs=" and ".join(needs),
        code=bundle([(kind.__module__, kind.__name__), *wanted]) + imported,
        classes=pprint.pformat(trained.classes, width=100, compact=True),
        size=trained.fitting.size,
        weights=weights,
        built=built,
        read=READERS[suffix],
    )
    return ModelFiles({"model.py": text, **sources}, needs)


def _written(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _own_file(network: type) -> tuple[dict[str, str], tuple[str, ...]]:
    """The user's own file with a class, if it is a single one, and the packages that are needed."""
    top = network.__module__.partition(".")[0]
    path = Path(inspect.getsourcefile(network) or "")
    libraries = [Path(sysconfig.get_path(each)) for each in ("purelib", "platlib")]
    if top != network.__module__ or any(each in path.parents for each in libraries):
        return {}, ("torch", *_distributions(top))
    source = path.read_text(encoding="utf-8")
    imported = {package for _, package in imported_packages(ast.parse(source))}
    packages = sorted(imported - {"torch", *sys.stdlib_module_names})
    return {path.name: source}, ("torch", *(each for name in packages for each in _distributions(name)))


def _distributions(package: str) -> Sequence[str]:
    """What to install for a package; its own name where it was not installed."""
    return sorted(set(packages_distributions().get(package, [package])))
