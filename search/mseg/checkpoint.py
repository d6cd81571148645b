"""The two files a training leaves: `last.pt` to continue from, `best.safetensors` to be used.

Both are durable, so that either is found complete or not at all. `last.pt` loads with `weights_only=True`.
"""

import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from search.mseg.files import publish
from search.objective import WEIGHTS

log = logging.getLogger(__name__)

LAST = "last.pt"


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Write `last.pt`: tensors, numbers, strings, and lists and dicts of them."""
    temporary = folder / f"{LAST}.tmp"
    torch.save(dict(state), temporary)
    publish(temporary, folder / LAST)


def load(folder: Path) -> dict[str, Any] | None:
    """The state in `last.pt`, on the CPU; None if there is no such file or it cannot be read."""
    path = folder / LAST
    if not path.exists():
        return None
    try:
        # torch.load does not look at the archive's checksums: of 200 flipped bytes it noticed one.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can raise anything; it all means the same
        log.warning("%s is damaged (%s); training starts again at epoch 1", path, error)
        return None


def write_weights(folder: Path, weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write weights that may become `best.safetensors` under a temporary name; `settle_weights` decides.

    Args:
        weights: a state dict.
        about: the file's metadata, each value written as JSON.
    """
    # Copies: the format has no tensors that share memory, as tied weights do.
    tensors = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in weights.items()
    }
    metadata = {key: json.dumps(value) for key, value in about.items()}
    # Not save_file: that makes a file only its owner may read, whatever the umask.
    (folder / f"{WEIGHTS}.tmp").write_bytes(safetensors.torch.save(tensors, metadata))


def settle_weights(folder: Path, best: bool) -> None:
    """Make the weights written last the best ones, or remove them."""
    temporary = folder / f"{WEIGHTS}.tmp"
    if best:
        publish(temporary, folder / WEIGHTS)
    else:
        temporary.unlink()
