"""Trained weights of any origin -> a model that predicts, and what its file says of it.

    best.safetensors   what a trial leaves: weights, and metadata with model, classes and training size
    last.pt            a checkpoint, with those of the model that is evaluated
    *.pth              an older hand run's: a dict with `model_state_dict` and `config`, of a MicroSegFormer

Nothing in a file is executed: a pickle may hold tensors and plain values only. Weights must fit their model
exactly, name by name and shape by shape.
"""

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor

from search.errors import DataError, SpaceError, first_line, listed
from search.mseg.checkpoint import LAST
from search.mseg.config import Config
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.colours import default_colours
from search.mseg.data.fitting import Fitting, Size, SizeRule, as_size
from search.mseg.data.labels import Pixels
from search.mseg.hand_runs import BY_HAND, SIDE, renamed
from search.mseg.models import registry as models
from search.mseg.models.model import SegmentationModel
from search.mseg.models.registry import ModelConfig
from search.objective import WEIGHTS

SIZES = SizeRule(8, 8192, 8)
"""Of training images, as a file of weights may have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A model with trained weights.

    Attributes:
        model: on the CPU, in evaluation mode.
        config: the section `model` that it was built from.
        classes: their names, in order.
        mirror_pairs: classes that change places in a mirror image; None where its file does not say.
        fitting: how images came to the size that it was trained on.
        colours: (C, 3) RGB, what masks are drawn in.
        epoch: the epoch of these weights, from 1; None where its file does not say.
        path: the file.
    """

    model: SegmentationModel
    config: ModelConfig
    classes: tuple[str, ...]
    mirror_pairs: tuple[tuple[int, int], ...] | None
    fitting: Fitting
    colours: Pixels
    epoch: int | None
    path: Path

    @property
    def mirror(self) -> list[int]:
        """For each class, the one that it is in a mirror image; DataError where that is not known."""
        if self.mirror_pairs is None:
            raise DataError(
                f"{self.path}: does not say which classes change places in a mirror image; predict without "
                "--tta flip"
            )
        mirror = list(range(len(self.classes)))
        for one, other in self.mirror_pairs:
            mirror[one], mirror[other] = other, one
        return mirror


def load_trained(place: Path) -> TrainedModel:
    """The model in a file, or in a run's folder: its best weights.

    Raises:
        DataError: there is no such file, it is damaged or malicious, or its weights are not those of the
            model that it names; in one line.
    """
    path = _file(place)
    if path.suffix == ".safetensors":
        tensors, about = read_weights(path)
    else:
        tensors, about = _of_pickle(path, read_pickle(path, str(path), numpy_scalars=True))
    try:
        config = ModelConfig.of(**about["model"])
        classes = tuple(map(str, about["classes"]))
        size = as_size(cast(int | Size, SIZES.read(about["image_size"])))
        colours = np.array(about.get("colours") or default_colours(len(classes)), np.uint8)
        colours = colours.reshape(len(classes), 3)
        pairs = about.get("mirror_pairs")
        mirror_pairs = None if pairs is None else tuple((int(a), int(b)) for a, b in pairs)
    except (KeyError, TypeError, ValueError, OverflowError, ValidationError, SpaceError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:120]
        raise DataError(
            f"{path}: does not say which model its weights are of ({reason}); name a file that a training "
            "of this program wrote"
        ) from error
    if mirror_pairs is None and classes == CLASSES:
        mirror_pairs = MIRROR_PAIRS
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced
        model = models.build(config, len(classes))
    fill(model, tensors, path)
    return TrainedModel(
        model=model.eval(),
        config=config,
        classes=classes,
        mirror_pairs=mirror_pairs,
        fitting=Fitting(size, about.get("fit") == "pad"),
        colours=colours,
        epoch=about.get("epoch"),
        path=path,
    )


def load_checked(config: Config | None, weights: Path) -> TrainedModel:
    """The weights in a file; DataError if they are not of the model that `config`, if given, names."""
    trained = load_trained(weights)
    if config is not None:
        ours, theirs = config.model, trained.config
        if (ours.kind, ours.options) != (theirs.kind, theirs.options):
            raise DataError(
                f"{trained.path}: its model is {theirs.kind} {theirs.options}, the trial's {ours.kind} "
                f"{ours.options}; these are another trial's weights"
            )
    return trained


def fill(model: torch.nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Gives `model` these weights.

    Raises:
        DataError: a name is missing or too much, or a shape is another; names the first ones.
    """
    own = model.state_dict()
    shapes = [
        f"{name} is {_shape(tensors[name])}, not {_shape(own[name])}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    for problem, names in (
        ("lack", [name for name in own if name not in tensors]),
        ("have the unknown", [str(name) for name in tensors if name not in own]),
        ("have another shape:", shapes),
    ):
        if names:
            raise DataError(
                f"{path}: its weights {problem} {listed(names)}; they are of another model, or of another "
                "version of it"
            )
    model.load_state_dict(dict(tensors))


def read_pickle(source: Path | BinaryIO, name: str, *, numpy_scalars: bool = False) -> Any:
    """What `torch.save` wrote, on the CPU: tensors, plain values, and lists and dicts of them.

    Args:
        name: what a message calls the source.
        numpy_scalars: whether numbers may be NumPy's, as the hand runs recorded their scores.

    Raises:
        DataError: the source is missing or damaged, or it holds anything else, which is not loaded.
    """
    try:
        with torch.serialization.safe_globals(_numpy_scalars() if numpy_scalars else []):
            return torch.load(source, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such file; name a folder or file with weights") from error
    except pickle.UnpicklingError as error:
        if not (unsafe := re.search(r"GLOBAL (\S+)", str(error))):
            raise damaged(name, error) from error
        raise DataError(
            f"{name}: holds the object {unsafe.group(1)}, which could run code when it is loaded; it was "
            "not loaded. Save tensors and plain values only"
        ) from error
    except Exception as error:  # damaged bytes can raise anything
        raise damaged(name, error) from error


def _numpy_scalars() -> list[Any]:
    """What PyTorch must allow for NumPy's float64, under the name of NumPy 1 or 2."""
    scalar = np.float64(0).__reduce__()[0]
    names = [f"numpy.{package}.multiarray.scalar" for package in ("core", "_core")]
    return [*((scalar, name) for name in names), np.dtype, type(np.dtype(np.float64))]


def damaged(name: str, error: Exception) -> DataError:
    """What to say of a file that cannot be read."""
    reason = first_line(error)[:120]
    return DataError(f"{name}: is damaged or not a file of weights ({reason}); copy it again")


def parameter_count(tensors: Mapping[str, Tensor]) -> int:
    """How many trainable parameters a state dict holds; shared ones count once.

    A state dict does not tell parameters from buffers. Those of batch normalisation are left out by name.
    """
    counted = {
        tensor.untyped_storage().data_ptr(): tensor.numel()
        for name, tensor in tensors.items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    }
    return sum(counted.values())


def _file(place: Path) -> Path:
    if not place.is_dir():
        return place
    for name in (WEIGHTS, BY_HAND, LAST):
        if (place / name).is_file():
            return place / name
    raise DataError(f"{place}: has no {WEIGHTS} and no {BY_HAND}; name the folder of a training that has")


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors in a file of safetensors and its metadata; DataError where it cannot be read."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
        return safetensors.torch.load_file(path), about
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; name a folder or file with weights") from error
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise damaged(str(path), error) from error


def _of_pickle(path: Path, state: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights by our names, and what is known of them, of a checkpoint or a hand run's file."""
    if not isinstance(state, dict):
        raise DataError(f"{path}: holds {type(state).__name__}, not a dict with model_state_dict")
    if "params" in state and "trained" in state:
        return _of_checkpoint(path, state)
    tensors = state.get("model_state_dict", state.get("state_dict"))
    if not isinstance(tensors, dict) or not all(isinstance(each, Tensor) for each in tensors.values()):
        keys = listed([str(key) for key in state]) or "nothing"
        raise DataError(f"{path}: has no model_state_dict with tensors, only {keys}; name another file")
    if any(str(name).startswith("patch_embed") for name in tensors):
        tensors = dict(renamed(path, tensors))
    if "head.weight" not in tensors:
        raise DataError(
            f"{path}: its weights are not MicroSegFormer's: they have no head, but "
            f"{listed([str(name) for name in tensors]) or 'nothing'}"
        )
    count = len(tensors["head.weight"])
    lmsa = any(name.startswith("decoder.lmsa.") for name in tensors)
    epoch = state.get("epoch")
    return tensors, {
        "model": {"kind": "microsegformer", "lmsa": lmsa},
        "classes": CLASSES if count == len(CLASSES) else [f"class {index}" for index in range(count)],
        "image_size": SIDE,
        "epoch": epoch + 1 if isinstance(epoch, int) else None,  # they count from 0
    }


def _of_checkpoint(path: Path, state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights that a checkpoint's epoch was validated with."""
    if "about" not in state:
        raise DataError(f"{path}: is an older checkpoint, which does not name its classes; use {WEIGHTS}")
    average = state.get("average")
    return average["model"] if average else state["model"], state["about"]


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a scalar"
