"""Where workers run: what nvidia-smi lists, what CUDA_VISIBLE_DEVICES and --gpus leave of it."""

import socket
from pathlib import Path

import pytest
from service import fake_gpus

from search.errors import UserError
from search.runtime.devices import Place, places

PLAIN = """\
GPU 0: NVIDIA H200 (UUID: GPU-aaaa-1)
GPU 1: NVIDIA H200 (UUID: GPU-bbbb-2)
GPU 2: NVIDIA H200 (UUID: GPU-cccc-3)
"""
DIVIDED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa-1)
  MIG 3g.20gb     Device  0: (UUID: MIG-1111-a)
  MIG 3g.20gb     Device  1: (UUID: MIG-2222-b)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb-2)
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with the GPUs of PLAIN."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", fake_gpus(tmp_path, PLAIN))
    return monkeypatch


def uuids(found: list[Place]) -> list[str]:
    return [place.environment["CUDA_VISIBLE_DEVICES"] for place in found]


def test_one_place_per_gpu(machine: pytest.MonkeyPatch) -> None:
    found = places("auto", None, None)
    assert uuids(found) == ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3"]
    assert [place.label for place in found] == ["GPU 0", "GPU 1", "GPU 2"]
    assert {(place.device, place.share) for place in found} == {("cuda:0", 1)}
    assert [place.key for place in found] == uuids(found)


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
def test_cuda_visible_devices(machine: pytest.MonkeyPatch, visible: str, expected: list[str]) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert uuids(places("auto", None, None)) == expected


@pytest.mark.parametrize("visible", ["", "-1", "9"])
def test_no_gpu_is_visible(machine: pytest.MonkeyPatch, visible: str) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", visible)
    (place,) = places("auto", None, None)
    assert (place.device, place.key) == ("cpu", None)


def test_some_are_chosen(machine: pytest.MonkeyPatch) -> None:
    assert uuids(places("2,0", None, None)) == ["GPU-aaaa-1", "GPU-cccc-3"]
    assert uuids(places("GPU-bbbb-2", None, None)) == ["GPU-bbbb-2"]
    assert places("none", None, None)[0].device == "cpu"
    with pytest.raises(UserError, match=r"--gpus: 3 not on this machine \(there are: 0, 1, 2\)"):
        places("0,3", None, None)


def test_a_device_by_its_torch_name_is_the_same_device(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert uuids(places("auto", None, "cuda:1")) == ["GPU-cccc-3"]
    assert uuids(places("auto", None, "cuda")) == ["GPU-bbbb-2", "GPU-cccc-3"]
    assert places("0", None, "cpu")[0].key is None
    with pytest.raises(UserError, match=r"--device: cuda:2 is not on this machine \(it has 2 GPUs\)"):
        places("auto", None, "cuda:2")


def test_more_workers_than_gpus_share_them(machine: pytest.MonkeyPatch) -> None:
    found = places("0,1", 3, None)
    assert uuids(found) == ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-aaaa-1"]
    assert {place.share for place in found} == {2}
    assert {place.share for place in places("0,1", 2, None)} == {1}


def test_a_divided_gpu_is_used_by_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", fake_gpus(tmp_path, DIVIDED))
    found = places("auto", None, None)
    assert uuids(found) == ["MIG-1111-a", "MIG-2222-b", "GPU-bbbb-2"]
    assert [place.label for place in found] == ["GPU 0.0", "GPU 0.1", "GPU 1"]
    assert uuids(places("0", None, None)) == ["MIG-1111-a", "MIG-2222-b"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-2222-b")
    assert uuids(places("auto", None, None)) == ["MIG-2222-b"]


def test_without_nvidia_smi_what_is_visible_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index is one of this machine only; a UUID is the same everywhere."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-eeee")
    found = places("auto", None, None)
    assert uuids(found) == ["1", "GPU-eeee"]
    assert [place.key for place in found] == [f"{socket.gethostname()} 1", "GPU-eeee"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert places("auto", None, None)[0].device == "cpu"
