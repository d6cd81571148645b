"""NVML as `pynvml` offers it, of a machine with made-up GPUs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

GPUS = Mapping[str, Sequence[str]]
"""UUIDs of GPUs, each with the UUIDs of its MIG parts."""


class FakeNvml:
    """Stands in for the module. `gpus` is None where the driver does not answer."""

    NVML_DEVICE_MIG_ENABLE = 1

    class NVMLError(Exception):
        pass

    def __init__(self, gpus: GPUS | None) -> None:
        self._gpus = gpus

    def nvmlInit(self) -> None:
        if self._gpus is None:
            raise self.NVMLError("Driver/library version mismatch")

    def nvmlShutdown(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return len(self._gpus or {})

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return list(self._gpus or {})[index]

    def nvmlDeviceGetMigMode(self, gpu: str) -> tuple[int, int]:
        if not (self._gpus or {})[gpu]:
            raise self.NVMLError("Not Supported")
        return 1, 1

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: str) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: str, index: int) -> str:
        parts = (self._gpus or {})[gpu]
        if index >= len(parts):
            raise self.NVMLError("Not Found")
        return parts[index]

    def nvmlDeviceGetUUID(self, handle: str) -> str:
        return handle


def fake_gpus(folder: Path, gpus: GPUS) -> dict[str, str]:
    """Environment variables for processes that are to find these GPUs on their machine."""
    module = folder / "nvml" / "pynvml.py"
    module.parent.mkdir(exist_ok=True)
    module.write_text(
        f"import sys\nfrom fake_nvml import FakeNvml\nsys.modules[__name__] = FakeNvml({dict(gpus)!r})\n"
    )
    paths = [str(module.parent), str(Path(__file__).parent)]
    return {"SEARCH_GPUS": "auto", "PYTHONPATH": os.pathsep.join(paths)}
