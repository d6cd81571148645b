"""What a training leaves behind to go on from, and to be used: `last.pt` and `best.safetensors`.

Both are durable: written beside, synced, renamed, and the folder synced. Whoever finds one of the names
finds a whole file, after a power cut too. `last.pt` loads with `weights_only=True`.
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
    beside = folder / f"{LAST}.tmp"
    torch.save(dict(state), beside)
    publish(beside, folder / LAST)


def load(folder: Path) -> dict[str, Any] | None:
    """The state in `last.pt`, on the CPU; None where there is none, or none that can be read."""
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
    except Exception as error:  # damaged bytes can raise anything, and all of it means one thing
        log.warning("%s is damaged (%s); training starts again at epoch 1", path, error)
        return None


def write_weights(folder: Path, weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write what may become `best.safetensors`, beside it; `settle_weights` decides.

    Args:
        weights: a state dict.
        about: goes into the file's metadata, each value as JSON.
    """
    tensors = {name: tensor.detach().contiguous() for name, tensor in weights.items()}
    metadata = {key: json.dumps(value) for key, value in about.items()}
    # Not save_file: what that writes nobody but its owner may read, whatever the umask.
    (folder / f"{WEIGHTS}.tmp").write_bytes(safetensors.torch.save(tensors, metadata))


def settle_weights(folder: Path, best: bool) -> None:
    """Make the weights written last the best ones, or remove them."""
    beside = folder / f"{WEIGHTS}.tmp"
    if best:
        publish(beside, folder / WEIGHTS)
    else:
        beside.unlink()
