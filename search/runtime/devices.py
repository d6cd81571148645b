"""The devices of this machine: its GPUs by UUID, or its CPU cores. Does not import torch.

The driver gives a GPU a UUID, which is the same on the host and in every container; a process is confined
to one by CUDA_VISIBLE_DEVICES=UUID. Indices are those of `nvidia-smi`. A GPU that is partitioned (MIG) is
used by its parts. Which worker may use which device is decided in the database: `storage/devices.py`.
"""

import ctypes
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pynvml

from search.errors import UserError
from search.runtime.threads import thread_variables

NO_DEVICE = 75
"""Exit code of a supervised worker that found no free device (sysexits.h: temporary failure)."""

BROKEN_DEVICE = 71
"""Exit code of a supervised worker whose device does not work (sysexits.h: operating system error)."""

DEVICE_NODES = Path("/dev")  # the driver's nvidia0, nvidia1, ... are here


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a part of one.

    Attributes:
        index: `0` as nvidia-smi counts; `0.1` is the second part of GPU 0.
        uuid: what CUDA_VISIBLE_DEVICES takes.
        key: names the device in the database, whichever machine or container asks.
    """

    index: str
    uuid: str
    key: str

    def matches(self, name: str) -> bool:
        """Whether `name` of --gpus or CUDA_VISIBLE_DEVICES is this: its index or a prefix of its UUID."""
        if name.isdigit():
            return name == self.index.partition(".")[0]
        return name == self.index or (name.startswith(("GPU-", "MIG-")) and self.uuid.startswith(name))


@dataclass(frozen=True, slots=True)
class Device:
    """What one worker trains on.

    Attributes:
        name: as the objective needs it (`cpu`, `cuda:0`). label: as a person calls it (`GPU 1`).
        environment: variables that confine the process to it.
        key: names the device's lease; None for a CPU, which needs none.
        share: how many workers may hold that lease side by side.
    """

    name: str
    label: str
    environment: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    share: int = 1

    def confine(self) -> None:
        """Confines this process to the device; call it before torch is imported, which reads these."""
        os.environ.update(self.environment)


def find_devices(gpus: str, workers: int | None, device: str | None) -> Sequence[Device]:
    """One device for each visible GPU, or for each CPU worker a share of the cores.

    Args:
        gpus: `auto`, `none`, or indices or UUIDs: `0,1`.
        workers: how many; by default one per GPU, or a single one on the CPU, which
            `launcher.start.divide_cores` may divide. More workers than GPUs share them.
        device: `cpu` or another torch device that is used as it is (`mps`); `cuda:1` is the second of
            the visible GPUs.

    Raises:
        UserError: a GPU that was asked for is not on this machine, or the driver of one does not answer.
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
    return on_cores(workers or 1, device or "cpu")


def visible_gpus() -> list[Gpu]:
    """The GPUs this process may use: all of the machine, or those in CUDA_VISIBLE_DEVICES."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return installed_gpus()
    names = [name.strip() for name in allowed.split(",")]
    if names[0] in ("", "-1"):
        return []  # how users hide all GPUs; the driver is not asked
    try:
        installed = installed_gpus()
    except UserError:
        installed = []
    visible: list[Gpu] = []
    for name in names:
        if installed:
            matching = [gpu for gpu in installed if gpu.matches(name)]
        else:
            matching = [_unlisted(name)] if name not in ("", "-1") else []
        if not matching:
            break  # as CUDA reads it: what follows an unknown device is not visible
        visible += [gpu for gpu in matching if gpu not in visible]
    return visible


def installed_gpus() -> list[Gpu]:
    """The GPUs that the driver lists through NVML; none on a machine without a GPU.

    Raises:
        UserError: NVML lists none, but there is one. To go on would mean a search on the CPU that nobody
            asked for.
    """
    answer = "NVML lists no GPU"
    try:
        pynvml.nvmlInit()
        try:
            if gpus := [gpu for index in range(pynvml.nvmlDeviceGetCount()) for gpu in _parts(index)]:
                return gpus
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        answer = f"its driver does not answer ({error})"
    if (sign := _sign_of_a_gpu()) is None:
        return []
    raise UserError(
        f"--gpus: {sign}, but {answer}; repair it (does nvidia-smi work?), name the GPU in "
        "CUDA_VISIBLE_DEVICES, or search on the CPU with --gpus none"
    )


def _sign_of_a_gpu() -> str | None:
    """What says that this machine has a GPU, whatever NVML says: a device node, or that CUDA finds one."""
    if nodes := sorted(DEVICE_NODES.glob("nvidia[0-9]*")):
        return f"{nodes[0]} exists"
    return f"CUDA finds {count} GPU{'s' * (count > 1)}" if (count := cuda_count()) else None


def cuda_count() -> int:
    """How many devices the CUDA driver gives to this process, and so to torch; 0 without a driver."""
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        working = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return 0
    return count.value if working else 0


def _parts(index: int) -> Iterator[Gpu]:
    """GPU `index`, or its parts where it is partitioned."""
    gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
    try:
        partitioned = pynvml.nvmlDeviceGetMigMode(gpu)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
    except pynvml.NVMLError:  # most GPUs cannot be
        partitioned = False
    if not partitioned:
        uuid = pynvml.nvmlDeviceGetUUID(gpu)
        yield Gpu(str(index), uuid, uuid)
        return
    for part in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, part)
        except pynvml.NVMLError:  # fewer parts than there could be
            continue
        uuid = pynvml.nvmlDeviceGetUUID(handle)
        yield Gpu(f"{index}.{part}", uuid, uuid)


def _unlisted(name: str) -> Gpu:
    """A device known only from CUDA_VISIBLE_DEVICES: its index means nothing on another machine."""
    return Gpu(name, name, name if name.startswith(("GPU-", "MIG-")) else f"{socket.gethostname()} {name}")


def _chosen(gpus: str, visible: Sequence[Gpu]) -> list[Gpu]:
    names = [name.strip() for name in gpus.split(",")]
    unknown = [name for name in names if not any(gpu.matches(name) for gpu in visible)]
    if unknown:
        indices = ", ".join(gpu.index for gpu in visible) or "none"
        raise UserError(f"--gpus: {', '.join(unknown)} not on this machine (there are: {indices})")
    return [gpu for gpu in visible if any(gpu.matches(name) for name in names)]


def _on_gpus(visible: Sequence[Gpu], count: int) -> list[Device]:
    share = -(-count // len(visible))  # rounded up
    used = [visible[index % len(visible)] for index in range(count)]
    return [
        Device("cuda:0", f"GPU {gpu.index}", {"CUDA_VISIBLE_DEVICES": gpu.uuid}, gpu.key, share)
        for gpu in used
    ]


def on_cores(count: int, name: str = "cpu") -> list[Device]:
    """`count` workers that divide the cores among them."""
    environment = thread_variables(count)
    return [Device(name, name if count == 1 else f"{name} {index}", environment) for index in range(count)]
