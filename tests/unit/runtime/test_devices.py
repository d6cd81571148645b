"""The devices of a machine: what the driver lists, what CUDA_VISIBLE_DEVICES and --gpus leave of it."""

import ctypes
import socket
from pathlib import Path
from typing import Any

import pytest
from fake_nvml import GPUS, FakeNvml

from search.errors import UserError
from search.runtime import devices
from search.runtime.devices import Device, find_devices

PLAIN: GPUS = {"GPU-aaaa-1": [], "GPU-bbbb-2": [], "GPU-cccc-3": []}
PARTITIONED: GPUS = {"GPU-aaaa-1": ["MIG-1111-a", "MIG-2222-b"], "GPU-bbbb-2": []}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with the GPUs of PLAIN."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "pynvml", FakeNvml(PLAIN))
    monkeypatch.setattr(devices, "cuda_count", lambda: 0)
    return monkeypatch


def uuids(found: list[Device]) -> list[str]:
    return [device.environment["CUDA_VISIBLE_DEVICES"] for device in found]


def test_one_device_per_gpu(machine: pytest.MonkeyPatch) -> None:
    found = find_devices("auto", None, None)
    assert uuids(found) == ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3"]
    assert [device.label for device in found] == ["GPU 0", "GPU 1", "GPU 2"]
    assert {(device.name, device.share) for device in found} == {("cuda:0", 1)}
    assert [device.key for device in found] == uuids(found)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1,0", ["GPU-bbbb-2", "GPU-aaaa-1"]),
        ("GPU-cccc-3", ["GPU-cccc-3"]),
        ("GPU-b", ["GPU-bbbb-2"]),
        ("2,7,0", ["GPU-cccc-3"]),
        ("0,-1,1", ["GPU-aaaa-1"]),
        ("1,1", ["GPU-bbbb-2"]),
    ],
)
def test_cuda_visible_devices_limits_the_gpus(
    machine: pytest.MonkeyPatch, visible: str, expected: list[str]
) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert uuids(find_devices("auto", None, None)) == expected


@pytest.mark.parametrize("visible", ["", "-1", "9"])
def test_without_a_visible_gpu_the_device_is_the_cpu(machine: pytest.MonkeyPatch, visible: str) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", visible)
    (device,) = find_devices("auto", None, None)
    assert (device.name, device.key) == ("cpu", None)


def test_gpus_are_chosen_by_index_or_uuid(machine: pytest.MonkeyPatch) -> None:
    assert uuids(find_devices("2,0", None, None)) == ["GPU-aaaa-1", "GPU-cccc-3"]
    assert uuids(find_devices("GPU-bbbb-2", None, None)) == ["GPU-bbbb-2"]
    assert find_devices("none", None, None)[0].name == "cpu"
    with pytest.raises(UserError, match=r"--gpus: 3 not on this machine \(there are: 0, 1, 2\)"):
        find_devices("0,3", None, None)


def test_a_device_by_its_torch_name_is_the_same_device(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert uuids(find_devices("auto", None, "cuda:1")) == ["GPU-cccc-3"]
    assert uuids(find_devices("auto", None, "cuda")) == ["GPU-bbbb-2", "GPU-cccc-3"]
    assert find_devices("0", None, "cpu")[0].key is None
    with pytest.raises(UserError, match=r"--device: cuda:2 is not on this machine \(it has 2 GPUs\)"):
        find_devices("auto", None, "cuda:2")


def test_more_workers_than_gpus_share_them(machine: pytest.MonkeyPatch) -> None:
    found = find_devices("0,1", 3, None)
    assert uuids(found) == ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-aaaa-1"]
    assert {device.share for device in found} == {2}
    assert {device.share for device in find_devices("0,1", 2, None)} == {1}


def test_a_partitioned_gpu_is_used_by_its_parts(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(devices, "pynvml", FakeNvml(PARTITIONED))
    found = find_devices("auto", None, None)
    assert uuids(found) == ["MIG-1111-a", "MIG-2222-b", "GPU-bbbb-2"]
    assert [device.label for device in found] == ["GPU 0.0", "GPU 0.1", "GPU 1"]
    assert uuids(find_devices("0", None, None)) == ["MIG-1111-a", "MIG-2222-b"]
    machine.setenv("CUDA_VISIBLE_DEVICES", "MIG-2222-b")
    assert uuids(find_devices("auto", None, None)) == ["MIG-2222-b"]


def test_without_an_answer_of_the_driver_cuda_visible_devices_is_believed(
    machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An index is one of this machine only; a UUID is the same everywhere."""
    machine.setattr(devices, "pynvml", FakeNvml(None))
    machine.setattr(devices, "DEVICE_NODES", tmp_path)
    machine.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-eeee")
    found = find_devices("auto", None, None)
    assert uuids(found) == ["1", "GPU-eeee"]
    assert [device.key for device in found] == [f"{socket.gethostname()} 1", "GPU-eeee"]
    machine.delenv("CUDA_VISIBLE_DEVICES")
    assert find_devices("auto", None, None)[0].name == "cpu"


def test_a_gpu_whose_driver_does_not_answer_is_no_reason_to_train_on_the_cpu(
    machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine.setattr(devices, "pynvml", FakeNvml(None))
    machine.setattr(devices, "DEVICE_NODES", tmp_path)
    (tmp_path / "nvidiactl").touch()
    assert find_devices("auto", None, None)[0].name == "cpu", "no GPU, only what a driver left behind"
    (tmp_path / "nvidia0").touch()
    with pytest.raises(UserError, match=r"nvidia0 exists, but .*version mismatch.*--gpus none"):
        find_devices("auto", None, None)
    assert find_devices("none", None, None)[0].name == "cpu"
    machine.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert uuids(find_devices("auto", None, None)) == ["0"]


@pytest.mark.parametrize("gpus", [None, {}], ids=["NVML fails", "NVML lists none"])
def test_a_gpu_that_only_cuda_finds_is_no_reason_to_train_on_the_cpu(
    machine: pytest.MonkeyPatch, tmp_path: Path, gpus: GPUS | None
) -> None:
    """As torch sees it: in a container without NVML, under WSL."""
    machine.setattr(devices, "pynvml", FakeNvml(gpus))
    machine.setattr(devices, "DEVICE_NODES", tmp_path)
    assert find_devices("auto", None, None)[0].name == "cpu"
    machine.setattr(devices, "cuda_count", lambda: 2)
    with pytest.raises(UserError, match=r"^--gpus: CUDA finds 2 GPUs, but .*--gpus none$"):
        find_devices("auto", None, None)
    assert find_devices("none", None, None)[0].name == "cpu"
    machine.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert uuids(find_devices("auto", None, None)) == ["0"]


class FakeDriver:
    """libcuda.so.1 with three devices, where `cuInit` returns `code`."""

    def __init__(self, code: int) -> None:
        self.code = code

    def cuInit(self, flags: int) -> int:
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:
        ctypes.cast(count, ctypes.POINTER(ctypes.c_int))[0] = 3
        return 0


def test_cuda_is_asked_through_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    for driver, count in ((lambda _: FakeDriver(0), 3), (lambda _: FakeDriver(100), 0), (absent, 0)):
        monkeypatch.setattr(ctypes, "CDLL", driver)
        assert devices.cuda_count() == count
