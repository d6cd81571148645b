"""Whose fault an exception from the objective is: the machine's, the trial's, or a lack of memory.

Most of what CUDA, cuDNN and PyTorch raise are RuntimeErrors, so their messages decide. Where a message may
mean either, the device is asked: a kernel that fails in a new process as well is the machine's fault.
"""

import errno
from collections.abc import Iterator
from typing import Literal

from search.errors import BrokenDevice, first_line, text_of
from search.runtime.devices import Device
from search.runtime.kernel import error_in_new_process, kernel_error

Kind = Literal["machine", "memory", "trial", "device"]
"""What a message means; `device`: that this process has lost its device, for whatever reason."""

Fault = Literal["bug", "memory", "trial", "process"]
"""What an exception means for its trial: `trial` has cost this process its device, and so has `process`,
where it is unknown by whose fault."""

KINDS: dict[Kind, tuple[str, ...]] = {
    "machine": (
        "No CUDA GPUs are available",
        "no CUDA-capable device is detected",
        "busy or unavailable",  # "all CUDA-capable devices are", "CUDA-capable device(s) is/are"
        "not compiled with CUDA",
        "Found no NVIDIA driver",
        "driver on your system is too old",
        "driver version is insufficient",
        "no kernel image is available",
        "from cudaGetDeviceCount()",  # with one of the errors 802 to 805
        "system not yet initialized",
        "CUDA unknown error",  # while it is initialised
        "ECC error",
    ),
    "memory": (
        "out of memory",
        "can't allocate memory",
        "_STATUS_ALLOC_FAILED",
        "CUBLAS_STATUS_NOT_INITIALIZED",  # a handle needs memory
        "Unable to find a valid cuDNN algorithm",  # none fits into what is left
        "NVML_SUCCESS == ",  # asked for by PyTorch's allocator only once an allocation has failed
    ),
    # The kernel has checked its input: a label that is no class, an index out of range.
    "trial": ("device-side assert triggered",),
    "device": (
        "CUDA error",
        "CUDA driver error",
        "CUDNN_STATUS_EXECUTION_FAILED",
        "CUDNN_STATUS_INTERNAL_ERROR",
        "CUDNN_STATUS_MAPPING_ERROR",
        "CUDNN_STATUS_NOT_INITIALIZED",
    ),
}
"""Parts of messages; the first kind that has one in a message is what it means."""

ON_CPU: dict[Kind | None, Fault] = {
    None: "bug",
    "machine": "bug",  # the objective uses a GPU that it was not given
    "memory": "memory",
    "trial": "trial",
    "device": "process",
}

NAMES: dict[str, Kind] = {
    "OutOfMemoryError": "memory",
    "MemoryError": "memory",
    "AcceleratorError": "device",
}
"""Types of which the message need not say more; by name, so that torch is not imported here."""

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE}
"""Full, over quota, beyond a limit on a file's size, broken, read-only, gone from its server."""

DISK_TEXTS = ("No space left on device", "file write failed")
"""The second is PyTorch's, which drops the error's number."""


def fault_of(error: BaseException, device: Device) -> Fault:
    """What the exception means for the trial; tries the device where the message leaves that open.

    Raises:
        BrokenDevice: it is the machine's fault.
    """
    kind = kind_of(error)
    if device.name == "cpu":
        return ON_CPU[kind]
    if kind == "trial":
        return "trial"
    if kind == "machine":
        raise broken(device, first_line(error)) from error
    failed = kernel_error(device.name)
    if kind != "device" and (failed is None or kind_of(failed) == "memory"):
        return "bug" if kind is None else "memory"
    reason = error_in_new_process(device.name)
    if reason is None or kind_in(reason) == "memory":
        return "process"
    raise broken(device, reason.splitlines()[0]) from error


def kind_of(error: BaseException) -> Kind | None:
    """What the messages of an exception and of those that caused it mean; None: nothing of the kind."""
    for each in _chain(error):
        names = [NAMES[kind.__name__] for kind in type(each).__mro__ if kind.__name__ in NAMES]
        if kind := kind_in(text_of(each)) or next(iter(names), None):
            return kind
    return None


def kind_in(message: str) -> Kind | None:
    """What a message means."""
    return next((kind for kind, parts in KINDS.items() if any(part in message for part in parts)), None)


def is_disk_error(error: BaseException) -> bool:
    """Whether this machine's disk is at fault, by an error or by what caused it."""
    return any(
        getattr(each, "errno", None) in DISK_ERRORS
        or any(text in text_of(each) for text in DISK_TEXTS)
        # A FUSE mount whose program has died; without a file it is a socket's.
        or (isinstance(each, OSError) and each.errno == errno.ENOTCONN and each.filename is not None)
        for each in _chain(error)
    )


def broken(device: Device, reason: str) -> BrokenDevice:
    """The line that a worker ends with where its device does not work."""
    return BrokenDevice(
        f"{device.label} of this machine cannot train: {reason.rstrip('.')}; see nvidia-smi and "
        "torch.cuda.is_available(), or leave it out with --gpus"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and in turn what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
