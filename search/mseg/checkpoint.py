"""The two files a training leaves: `last.pt` to continue from, `best.safetensors` to be used.

Both are durable, so that either is found complete or not at all. `last.pt` loads with `weights_only=True`.
"""

import json
import logging
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from search.objective import WEIGHTS
from search.objective.files import publish

log = logging.getLogger(__name__)

LAST = "last.pt"

Flat = dict[torch.dtype, Tensor]
"""One tensor of one dimension for each type."""


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Write `last.pt`: tensors, numbers, strings, and lists and dicts of them."""
    temporary = folder / f"{LAST}.tmp"
    torch.save(dict(state), temporary)
    publish(temporary, folder / LAST)


def to_host(state: Mapping[str, Any], device: torch.device) -> Callable[[], dict[str, Any]]:
    """Begin to copy the tensors of `state` from a GPU; what is returned waits for them and gives the copy.

    There is one copy for all tensors of a type, on a stream of its own. Copied one by one, each of them
    would wait for all that the device has been told to do since. On a CPU nothing is copied.
    """
    if device.type != "cuda":
        return lambda: dict(state)
    flat, rebuild = flattened(state)
    stream, arrived = torch.cuda.Stream(device), torch.cuda.Event()
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        pinned = {
            dtype: torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor, non_blocking=True)
            for dtype, tensor in flat.items()
        }
        arrived.record()

    def wait() -> dict[str, Any]:
        arrived.synchronize()
        flat.clear()  # the stream has read it
        return rebuild(pinned)

    return wait


def flattened(state: Mapping[str, Any]) -> tuple[Flat, Callable[[Flat], dict[str, Any]]]:
    """All tensors of each type as one, and what makes a state of such tensors again, as views of them.

    Strides stay what they are: a fused optimiser wants its state to have those of the weights.
    """
    leaves, structure = tree_flatten(dict(state))
    parts: dict[torch.dtype, list[Tensor]] = {}
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            parts.setdefault(leaf.dtype, []).append(leaf.detach())
    flat = {
        dtype: torch.cat([_dense(each).as_strided((each.numel(),), (1,)) for each in tensors])
        for dtype, tensors in parts.items()
    }

    def rebuild(flat: Flat) -> dict[str, Any]:
        rest = {
            dtype: iter(tensor.split([each.numel() for each in parts[dtype]]))
            for dtype, tensor in flat.items()
        }
        built = [
            next(rest[leaf.dtype]).as_strided(leaf.shape, _dense(leaf).stride())
            if isinstance(leaf, Tensor)
            else leaf
            for leaf in leaves
        ]
        state: dict[str, Any] = tree_unflatten(built, structure)
        return state

    return flat, rebuild


def _dense(tensor: Tensor) -> Tensor:
    """The tensor, or where its elements are not all there is in its part of the memory, a copy."""
    channels_last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor if channels_last else tensor.contiguous()


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
