"""`search check --trace`: a trace that opens, and costs that are those of the epoch."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from service import Answer, Search
from torch.autograd import DeviceType
from torch.autograd.profiler_util import EventList, FunctionEvent

from search.launcher.profile import largest
from search.objective import EpochResult, Run

TINY = {
    "objective": "search.mseg",
    "space": {
        "data": {"source": "drawn", "image_size": 32, "eval_size": "train", "drawn_images": 12},
        "model": {"kind": "unet", "width": 8, "depth": 1},
        "optimizer": {"learning_rate": {"low": 1e-4, "high": 1e-3}},
        "schedule": {"warmup_epochs": 0},
        "trainer": {"batch_size": 5, "epochs": 9},
    },
}


def test_an_epoch_is_traced(search: Search, command: Callable[..., Answer]) -> None:
    (search.folder / "space.yaml").write_text(yaml.safe_dump(TINY))
    answer = command("check", "--trace", "--json")
    told = answer.json["trace"]
    assert (told["file"], told["epoch"]) == ("trace.json.gz", 2)
    assert answer.err == "", "the profiler keeps to itself"

    shares = [cost["share"] for cost in told["costs"]]
    assert len(shares) == 5 and shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1

    events = json.loads(gzip.decompress((search.folder / "trace.json.gz").read_bytes()))["traceEvents"]
    named = [event for event in events if event.get("name") == told["costs"][0]["name"]]
    assert len(named) == told["costs"][0]["calls"]
    steps = [event for event in events if event.get("name") == "Optimizer.step#AdamW.step"]
    assert len(steps) == 2, "one epoch: eleven images in batches of five"
    assert {path.name for path in search.folder.iterdir()} == {"space.yaml", "trace.json.gz"}


def test_only_what_an_operation_does_itself_counts() -> None:
    class Average:
        def __init__(self, key: str, seconds: float) -> None:
            self.key, self.count = key, 3
            self.self_cpu_time_total, self.self_device_time_total = seconds * 1e6, 0.0

    costs = largest(
        [Average(name, seconds) for name, seconds in zip("abcdefg", range(7), strict=True)], on_gpu=False
    )
    assert [(cost.name, cost.seconds, cost.calls) for cost in costs[:2]] == [("g", 6.0, 3), ("f", 5.0, 3)]
    assert costs[0].share == pytest.approx(6 / 21)
    assert len(costs) == 5


def test_on_a_gpu_kernels_count_once_as_in_torchs_own_table() -> None:
    """A row of the operator, of the annotated range on both sides, and of the kernels themselves."""

    def row(name: str, end: int, device: DeviceType, *, annotation: bool = False) -> FunctionEvent:
        return FunctionEvent(
            id=0,
            name=name,
            thread=1,
            start_us=0,
            end_us=end,
            device_type=device,
            use_device="cuda",
            is_user_annotation=annotation,
            stack=[],
        )

    operator = row("aten::addmm", 9, DeviceType.CPU)
    operator.append_kernel("sgemm", 0, 600)
    events = [
        operator,
        row("step", 50, DeviceType.CPU, annotation=True),
        row("step", 900, DeviceType.CUDA, annotation=True),
        row("sgemm", 400, DeviceType.CUDA),
        row("sgemm", 200, DeviceType.CUDA),
        row("Memcpy HtoD (Pinned -> Device)", 200, DeviceType.CUDA),
    ]
    profiled = EventList(events, use_device="cuda")
    profiled._build_tree()
    averages = profiled.key_averages()
    costs = largest(averages, on_gpu=True)
    assert [(cost.name, cost.calls) for cost in costs] == [
        ("sgemm", 2),
        ("Memcpy HtoD (Pinned -> Device)", 1),
    ]
    assert [cost.share for cost in costs] == [0.75, 0.25]
    assert "Self CUDA time total: 800.000us" in averages.table()
    assert sum(cost.seconds for cost in costs) == pytest.approx(800e-6)


@pytest.mark.parametrize(("epochs", "said"), [(0, "trained no epoch"), (1, "ended after one epoch")])
def test_too_short_a_training_is_said(
    epochs: int, said: str, search: Search, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for epoch in range(1, epochs + 1):
            yield EpochResult(epoch=epoch, epochs=4, score=0.5)

    monkeypatch.setattr("toy.train", train)
    assert said in command("check", "--trace", code=1).err


def test_a_folder_that_cannot_be_written_to(search: Search, command: Any) -> None:
    (search.folder / "trace.json.gz").mkdir()
    line = command("check", "--trace", code=2).err
    assert line.count("\n") == 1 and line.startswith("--trace: trace.json.gz: Is a directory")
