"""What messages of CUDA, cuDNN and PyTorch mean, and what the device itself is asked."""

import errno

import pytest

from search.errors import BrokenDevice, cause_of, first_line
from search.runtime.devices import Device
from search.worker import faults
from search.worker.faults import Fault, Kind, fault_of, kind_of

GPU = Device("cuda:0", "GPU 3")
HINT = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below "
    "might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\nCompile with "
    "`TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)
COUNT = (
    "Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling "
    "NumCudaDevices() that might have already set an error? Error "
)
NVML = (
    'INTERNAL ASSERT FAILED at "../c10/cuda/CUDACachingAllocator.cpp":830, please report a bug to PyTorch. '
)

MESSAGES: list[tuple[Kind | None, str]] = [
    ("machine", "No CUDA GPUs are available"),
    ("machine", f"{COUNT}802: system not yet initialized"),
    ("machine", f"{COUNT}803: system has unsupported display driver / cuda driver combination"),
    ("machine", f"{COUNT}804: forward compatibility was attempted on non supported HW"),
    ("machine", f"{COUNT}805: MPS client failed to connect to the MPS control daemon or the MPS server"),
    ("machine", "CUDA driver error: system not yet initialized"),
    (
        "machine",
        "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver",
    ),
    ("machine", f"CUDA error: CUDA driver version is insufficient for CUDA runtime version{HINT}"),
    ("machine", "Torch not compiled with CUDA enabled"),
    ("machine", "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"),
    (
        "machine",
        "CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env "
        "variable CUDA_VISIBLE_DEVICES after program start. Setting the available devices to be zero.",
    ),
    ("machine", f"CUDA error: all CUDA-capable devices are busy or unavailable{HINT}"),
    ("machine", f"CUDA error: CUDA-capable device(s) is/are busy or unavailable{HINT}"),
    ("machine", f"CUDA error: no kernel image is available for execution on the device{HINT}"),
    ("machine", f"CUDA error: uncorrectable ECC error encountered{HINT}"),
    ("memory", "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.15 GiB"),
    ("memory", f"CUDA error: out of memory{HINT}"),
    ("memory", "MPS backend out of memory (MPS allocated: 18.12 GB, other allocations: 384.00 KB)"),
    ("memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ("memory", "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    ("memory", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ("memory", "Unable to find a valid cuDNN algorithm to run convolution"),
    ("memory", f"NVML_SUCCESS == r {NVML}"),
    ("memory", f"NVML_SUCCESS == DriverAPI::get()->nvmlInit_v2_() {NVML}"),
    (
        "memory",
        "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 409600000000 bytes. Error code 12 (Cannot allocate memory)",
    ),
    ("trial", f"CUDA error: device-side assert triggered{HINT}"),
    ("device", f"CUDA error: unknown error{HINT}"),
    ("device", f"CUDA error: an illegal memory access was encountered{HINT}"),
    ("device", f"CUDA error: unspecified launch failure{HINT}"),
    ("device", "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb)`"),
    ("device", "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ("device", "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    (
        None,
        "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous",
    ),
    (
        None,
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
    ),
    (None, "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    (None, "index 19 is out of bounds for dimension 0 with size 19"),
]


@pytest.mark.parametrize(("kind", "message"), MESSAGES, ids=[message[:60] for _, message in MESSAGES])
def test_every_message_has_its_meaning(kind: Kind | None, message: str) -> None:
    assert kind_of(RuntimeError(message)) == kind
    wrapped = RuntimeError("the step failed")
    wrapped.__cause__ = AssertionError(message)
    assert kind_of(wrapped) == kind, "an objective may wrap what PyTorch raised"


def test_some_types_say_it_themselves() -> None:
    class OutOfMemoryError(RuntimeError):  # torch.OutOfMemoryError
        pass

    class AcceleratorError(RuntimeError):  # torch.AcceleratorError
        pass

    assert kind_of(MemoryError()) == "memory"
    assert kind_of(OutOfMemoryError("XPU")) == "memory"
    assert kind_of(AcceleratorError("something new")) == "device"
    assert kind_of(AcceleratorError(f"CUDA error: device-side assert triggered{HINT}")) == "trial"


BUG = "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"
ILLEGAL = f"CUDA error: an illegal memory access was encountered{HINT}"
ASSERT = f"CUDA error: device-side assert triggered{HINT}"
FULL = "CUDA out of memory. Tried to allocate 20.00 MiB"
ABSENT = "No CUDA GPUs are available"
WORKS = None


@pytest.mark.parametrize(
    ("message", "here", "anew", "fault"),
    [
        (BUG, WORKS, WORKS, "bug"),
        (BUG, FULL, WORKS, "bug"),
        (BUG, ILLEGAL, WORKS, "process"),  # what was reported came after what had happened
        (BUG, ILLEGAL, ABSENT, "machine"),
        (FULL, FULL, WORKS, "memory"),
        (FULL, ILLEGAL, WORKS, "process"),
        (ILLEGAL, ILLEGAL, WORKS, "process"),
        (ILLEGAL, ILLEGAL, FULL, "process"),  # a neighbour has the memory
        (ILLEGAL, ILLEGAL, ABSENT, "machine"),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", WORKS, WORKS, "process"),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", WORKS, ABSENT, "machine"),
        (ASSERT, ILLEGAL, ABSENT, "trial"),
        (ABSENT, WORKS, WORKS, "machine"),
    ],
)
def test_the_device_decides_where_the_message_does_not(
    monkeypatch: pytest.MonkeyPatch, message: str, here: str | None, anew: str | None, fault: str
) -> None:
    monkeypatch.setattr(faults, "kernel_error", lambda _: RuntimeError(here) if here else None)
    monkeypatch.setattr(faults, "error_in_new_process", lambda _: anew)
    if fault != "machine":
        assert fault_of(RuntimeError(message), GPU) == fault
        return
    line = r"^GPU 3 of this machine cannot train: No CUDA GPUs are available; see nvidia-smi and .* --gpus$"
    with pytest.raises(BrokenDevice, match=line):
        fault_of(RuntimeError(message), GPU)


@pytest.mark.parametrize(
    ("message", "fault"), [(ABSENT, "bug"), (FULL, "memory"), (ILLEGAL, "process"), (BUG, "bug")]
)
def test_a_machine_without_a_gpu_is_not_to_blame(message: str, fault: Fault) -> None:
    """There is no device to ask, and an objective that uses one was not given it."""
    assert fault_of(RuntimeError(message), Device("cpu", "cpu")) == fault


def test_an_error_without_a_message_that_can_be_read_is_a_bug_like_others() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise TypeError("no text")

    assert kind_of(Mute()) is None and not faults.is_disk_error(Mute())
    assert (first_line(Mute()), cause_of(Mute())) == ("Mute", "Mute: ")


@pytest.mark.parametrize("number", [errno.EFBIG, errno.ESTALE, errno.EDQUOT, errno.ENOTCONN, errno.EACCES])
def test_an_error_of_the_disk_is_the_machines(number: int) -> None:
    at_fault = number != errno.EACCES
    assert faults.is_disk_error(OSError(number, "said", "last.pt")) == at_fault
    of_a_socket = OSError(number, "said")
    assert faults.is_disk_error(of_a_socket) == (at_fault and number != errno.ENOTCONN)
