"""`search start --per-gpu`: what is measured, what is kept, what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_nvml import fake_gpus
from service import Answer, Search, runs

from search.errors import UserError
from search.launcher.gpu_sharing import MOST, Throughput, best, check, measure, share_gpus
from search.runtime.devices import Device
from search.spec.spec import load_spec

GPU = Device("cuda:0", "GPU 0", {"CUDA_VISIBLE_DEVICES": "GPU-a"}, key="GPU-a")
ONE: dict[str, list[str]] = {"GPU-aaaa": []}


@pytest.mark.parametrize(
    ("speeds", "count"),
    [
        ([], 1),
        ([100.0], 1),
        ([100.0, 150.0, 149.0], 2),
        ([100.0, 102.0, 104.5], 3),  # two are hardly worth it, three are
        ([100.0, 102.0, 102.9], 1),
        ([100.0, 90.0, 200.0], 3),
    ],
)
def test_the_largest_total_wins_if_it_is_worth_it(speeds: list[float], count: int) -> None:
    assert best([Throughput(number, speed, True) for number, speed in enumerate(speeds, 1)]) == count


def test_every_gpu_gets_as_many() -> None:
    other = Device("cuda:0", "GPU 1", {"CUDA_VISIBLE_DEVICES": "GPU-b"}, key="GPU-b")
    shared = share_gpus([GPU, other], "2", None, None)  # type: ignore[arg-type]
    assert [device.label for device in shared] == [
        "GPU 0, 1 of 2",
        "GPU 1, 1 of 2",
        "GPU 0, 2 of 2",
        "GPU 1, 2 of 2",
    ]
    assert {device.share for device in shared} == {2}
    assert [device.key for device in shared] == ["GPU-a", "GPU-b"] * 2


@pytest.mark.parametrize("wanted", ["0", "-1", "17", "two", "1.5", ""])
def test_per_gpu_takes_auto_or_a_number(wanted: str) -> None:
    with pytest.raises(UserError, match=r"^--per-gpu: .* is neither auto nor a number from 1 to 16$"):
        check(wanted, [GPU])


def test_wrong_uses_write_nothing(search: Search, command: Callable[..., Answer]) -> None:
    line = command("start", "--per-gpu", "2", code=2).err
    assert line == "--per-gpu: 2, but this machine has no GPU; --workers divides its cores\n"
    line = command("start", "--per-gpu", "auto", "--workers", "2", code=2).err
    assert line.startswith("--per-gpu: --workers already sets") and line.count("\n") == 1
    assert not (search.folder / "runs").exists()


@pytest.fixture
def toys(search: Search, monkeypatch: pytest.MonkeyPatch) -> Search:
    for name, value in search.environment.items():
        monkeypatch.setenv(name, value)
    return search


def test_processes_that_do_not_disturb_each_other_add_up(toys: Search) -> None:
    spec = load_spec(toys.folder / "space.yaml", overrides=["seconds=0.2", "epochs=1000"])
    tried = measure(spec, None, GPU)
    assert [one.count for one in tried] == list(range(1, MOST + 1))
    for one in tried:  # an epoch sleeps for 0.2 seconds, and the toy counts no images
        assert one.speed <= one.count / 0.2
    assert tried[-1].speed > tried[0].speed
    children = {int(line.split()[2]) for line in (toys.folder / "epochs.log").read_text().splitlines()}
    assert len(children) == 1 + 2 + 3
    assert not any(runs(pid) for pid in children)


def test_what_cannot_train_is_not_measured(toys: Search) -> None:
    broken = load_spec(toys.folder / "space.yaml", overrides=["trouble=bug", "epochs=1000"])
    assert measure(broken, None, GPU) == []
    slow = load_spec(toys.folder / "space.yaml", overrides=["seconds=60"])
    assert measure(slow, None, GPU, patience=1.0) == []


def test_what_is_measured_decides_and_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speeds = [Throughput(number, 100.0 * number, True) for number in (1, 2, 3)]
    monkeypatch.setattr("search.launcher.gpu_sharing.measure", lambda *_: speeds)
    shared = share_gpus([GPU], "auto", None, None)  # type: ignore[arg-type]
    assert [device.label for device in shared] == [f"GPU 0, {number} of 3" for number in (1, 2, 3)]
    message = "images per second by processes on GPU 0: 1: 100, 2: 200, 3: 300; 3 to each GPU\n"
    assert capsys.readouterr().err == message


@pytest.mark.nightly
def test_a_search_measures_and_shows_it(search: Search, tmp_path: Path) -> None:
    search.environment |= fake_gpus(tmp_path, ONE)
    search.environment.pop("CUDA_VISIBLE_DEVICES", None)
    started = search.spawn("start", "--per-gpu", "auto", "--trials", "9", "--set", "seconds=0.3")
    labels = {f"GPU 0, {number} of 3" for number in (1, 2, 3)}
    search.wait(
        lambda: (s := search.snapshot()) and {w.device for w in s.workers if w.trial is not None} == labels
    )
    search.ends(started)
    assert (
        "images per second by processes on GPU 0: 1: " in search.said and "; 3 to each GPU" in search.said
    )
    search.finished(9)
