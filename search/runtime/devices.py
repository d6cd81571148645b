"""Where workers run: the GPUs of this machine by UUID, or its CPU cores. Knows no torch.

A GPU is known by the UUID that its driver gives it, the same on the host and in every container, and
a process is confined to one by CUDA_VISIBLE_DEVICES=UUID. Indices are those of `nvidia-smi`. Where a GPU
is divided (MIG), its parts are the devices. Who may use which is the database's to say:
`storage/devices.py`.
"""

import os
import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from search.errors import UserError
from search.runtime.threads import thread_variables

TURNED_AWAY = 75  # exit code of a supervised worker that found no device (sysexits.h: try again later)

LISTED = re.compile(r"^(?P<part>\s*)(?:GPU|MIG .*?Device)\s+(?P<index>\d+):.*\(UUID: (?P<uuid>[^)]+)\)")
"""`GPU 0: NVIDIA A100 (UUID: GPU-..)`, and below it `  MIG 1g.5gb  Device  0: (UUID: MIG-..)`."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a part of one.

    Attributes:
        index: `0` as nvidia-smi counts; `0.1` is the second part of GPU 0.
        uuid: what CUDA_VISIBLE_DEVICES takes.
        key: who holds this holds the device, on whatever machine it is asked.
    """

    index: str
    uuid: str
    key: str

    @property
    def whole(self) -> str:
        """The index of the GPU that this is, or is a part of."""
        return self.index.partition(".")[0]

    def named(self, name: str) -> bool:
        """Whether CUDA_VISIBLE_DEVICES or --gpus means this one: an index, a UUID or its beginning."""
        if name.isdigit():
            return name == self.whole
        return name == self.index or (name.startswith(("GPU-", "MIG-")) and self.uuid.startswith(name))


@dataclass(frozen=True, slots=True)
class Place:
    """Where one worker runs.

    Attributes:
        device: as the objective calls it (`cpu`, `cuda:0`). label: as a person does (`GPU 1`).
        environment: variables that confine the process to it.
        key: of the device's lease; None where it needs none, on the CPU.
        share: how many workers may hold that lease side by side.
    """

    device: str
    label: str
    environment: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    share: int = 1

    def confine(self) -> None:
        """Confines this process to the place; before torch is loaded, which reads the variables then."""
        os.environ.update(self.environment)


def places(gpus: str, workers: int | None, device: str | None) -> list[Place]:
    """One place per visible GPU, or CPU workers that divide the cores among them.

    Args:
        gpus: `auto`, `none`, or indices or UUIDs: `0,1`.
        workers: how many; by default one per GPU, or one on the CPU. More than GPUs share them in turn.
        device: `cpu` or another torch device that is used as it is (`mps`); `cuda:1` is the second of
            the visible GPUs.

    Raises:
        UserError: a GPU was asked for that is not on this machine.
    """
    wants_gpu = device is None or re.fullmatch(r"cuda(:\d+)?", device) is not None
    visible = visible_gpus() if wants_gpu and gpus != "none" else []
    if wants_gpu and gpus not in ("auto", "none"):
        visible = _chosen(gpus, visible)
    if visible and device is not None and ":" in device:
        position = int(device.partition(":")[2])
        if position >= len(visible):
            raise UserError(f"--device: {device} is not on this machine (it has {len(visible)} GPUs)")
        visible = [visible[position]]
    if visible:
        return _on_gpus(visible, workers or len(visible))
    return _on_cores(workers or 1, device or "cpu")


def visible_gpus() -> list[Gpu]:
    """The GPUs this process may use: all of the machine, or those in CUDA_VISIBLE_DEVICES."""
    there = installed_gpus()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return there
    visible: list[Gpu] = []
    for name in (part.strip() for part in allowed.split(",")):
        if there:
            found = [gpu for gpu in there if gpu.named(name)]
        else:
            found = [_unlisted(name)] if name not in ("", "-1") else []
        if not found:
            break  # as CUDA reads it: what follows an unknown device is not visible
        visible += [gpu for gpu in found if gpu not in visible]
    return visible


def installed_gpus() -> list[Gpu]:
    """What `nvidia-smi` lists; nothing where it is missing or fails."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found: list[Gpu] = []
    parent = ""
    for line in listed.splitlines():
        if (match := LISTED.match(line)) is None:
            continue
        index, uuid = match["index"], match["uuid"]
        if match["part"]:
            found = [gpu for gpu in found if gpu.index != parent]  # a divided GPU is used by its parts only
            index = f"{parent}.{index}"
        else:
            parent = index
        found.append(Gpu(index, uuid, uuid))
    return found


def _unlisted(name: str) -> Gpu:
    """A device that only CUDA_VISIBLE_DEVICES speaks of: an index means nothing on another machine."""
    return Gpu(name, name, name if name.startswith(("GPU-", "MIG-")) else f"{socket.gethostname()} {name}")


def _chosen(gpus: str, visible: Sequence[Gpu]) -> list[Gpu]:
    names = [name.strip() for name in gpus.split(",")]
    unknown = [name for name in names if not any(gpu.named(name) for gpu in visible)]
    if unknown:
        there = ", ".join(gpu.index for gpu in visible) or "none"
        raise UserError(f"--gpus: {', '.join(unknown)} not on this machine (there are: {there})")
    return [gpu for gpu in visible if any(gpu.named(name) for name in names)]


def _on_gpus(visible: Sequence[Gpu], count: int) -> list[Place]:
    share = -(-count // len(visible))  # rounded up
    used = [visible[index % len(visible)] for index in range(count)]
    return [
        Place("cuda:0", f"GPU {gpu.index}", {"CUDA_VISIBLE_DEVICES": gpu.uuid}, gpu.key, share)
        for gpu in used
    ]


def _on_cores(count: int, name: str) -> list[Place]:
    environment = thread_variables(count)
    return [Place(name, name if count == 1 else f"{name} {index}", environment) for index in range(count)]
