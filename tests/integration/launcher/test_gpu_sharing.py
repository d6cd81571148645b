"""`search start --per-gpu`: what is measured, what is kept, what is refused."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_nvml import fake_gpus
from service import Answer, Search, runs

from search.errors import NoDevice, UserError
from search.launcher import gpu_sharing
from search.launcher.gpu_sharing import (
    MOST,
    Throughput,
    best,
    check,
    measure,
    rate,
    share_gpus,
    while_it_pays,
)
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.spec.spec import load_spec
from storage.devices import DeviceRequest, Holder, claim
from storage.leases import Leases
from storage.processes import Process

GPU = Device("cuda:0", "GPU 0", {"CUDA_VISIBLE_DEVICES": "GPU-a"}, key="GPU-a")
ONE: dict[str, list[str]] = {"GPU-aaaa": []}


@pytest.mark.parametrize(
    ("speeds", "count"),
    [
        ([], 1),
        ([100.0], 1),
        ([100.0, 150.0, 149.0], 2),
        ([100.0, 104.0], 1),
        ([100.0, 106.0, 112.5], 3),
    ],
)
def test_one_more_must_be_worth_it(speeds: list[float], count: int) -> None:
    assert best([Throughput(number, speed, True) for number, speed in enumerate(speeds, 1)]) == count


def test_it_ends_where_one_more_does_not_pay_fit_or_train() -> None:
    def counts(*speeds: float | None, full: int = 99) -> list[int]:
        def measured(count: int) -> Throughput | None:
            speed = speeds[count - 1]
            return None if speed is None else Throughput(count, speed, room=count < full)

        return [each.count for each in while_it_pays(measured)]

    assert counts(*range(1, 20)) == list(range(1, MOST + 1))
    assert counts(1, 2, 2, 9) == [1, 2, 3]
    assert counts(1, 2, 3, full=2) == [1, 2]
    assert counts(1, None) == [1]
    assert counts(None) == []


class SimulatedDevice:
    """A device on which `slots` processes at a time train an epoch of 0.25 s; the others wait."""

    def __init__(self, slots: int, seed: int) -> None:
        self.slots, self.chance, self.now = slots, random.Random(seed), 0.0
        self.busy: list[tuple[float, int]] = []  # until when, with which process
        self.ready: list[float] = []  # since when each process waits, or from when on
        self.finished: list[list[float]] = []

    def measure(self, count: int) -> Throughput:
        """One more process, which takes its time to start; then the rate, as soon as there is one."""
        self.ready.append(self.now + self.chance.uniform(2, 5))
        self.finished.append([])
        while (speed := rate(self.finished)) is None:
            for _ in range(50):
                self.step()
        return Throughput(count, speed, True)

    def step(self) -> None:
        at_work = {process for _, process in self.busy}
        waiting = [
            process
            for process, since in enumerate(self.ready)
            if since <= self.now and process not in at_work
        ]
        if waiting and len(self.busy) < self.slots:
            self.busy.append((self.now + 0.25, self.chance.choice(waiting)))
            return
        coming = [since for since in self.ready if since > self.now]
        self.now = min([end for end, _ in self.busy] + coming)
        for end, process in self.busy:
            if end <= self.now:
                self.finished[process].append(self.now)
        self.busy = [(end, process) for end, process in self.busy if end > self.now]


@pytest.mark.parametrize(("slots", "count"), [(1, 1), (3, 3), (99, MOST)])
def test_it_finds_how_many_processes_fill_a_device(slots: int, count: int) -> None:
    """Whatever the start-ups, and although short epochs take turns by chance."""
    for seed in range(5):
        measured = while_it_pays(SimulatedDevice(slots, seed).measure)
        assert best(measured) == count
        assert measured[count - 1].speed == pytest.approx(4 * count, rel=0.02), "epochs per second"


def test_only_the_window_in_which_all_train_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_sharing, "WINDOW_SECONDS", 4.0)
    alone = [1.0, 2.0, 3.0, 4.0]
    assert rate([alone, []]) is None, "the other one is still starting"
    both = [*alone, 6.0, 8.0, 10.0, 12.0]
    assert rate([both, [5.0, 7.0, 9.0]]) is None, "fewer than three epochs of the other"
    assert rate([both, [5.0, 7.0, 9.0, 11.0]]) == pytest.approx(1.0), "half an epoch per second each"


def test_every_gpu_gets_as_many() -> None:
    other = Device("cuda:0", "GPU 1", {"CUDA_VISIBLE_DEVICES": "GPU-b"}, key="GPU-b")
    shared = share_gpus([GPU, other], "2", None, None, Interrupt())  # type: ignore[arg-type]
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


def test_processes_that_do_not_disturb_each_other_add_up(
    toys: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_sharing, "MOST", 2)
    monkeypatch.setattr(gpu_sharing, "WINDOW_SECONDS", 0.5)
    spec = load_spec(toys.folder / "space.yaml", overrides=["seconds=0.2", "epochs=2"])
    tried = measure(spec, None, GPU)
    assert [(one.count, one.unit) for one in tried] == [(1, "epochs"), (2, "epochs")]
    for one in tried:  # an epoch sleeps for 0.2 seconds, and a training of two begins again
        assert one.speed <= one.count / 0.2
    assert tried[1].speed > tried[0].speed
    children = {int(line.split()[2]) for line in (toys.folder / "epochs.log").read_text().splitlines()}
    assert len(children) == 2 and not any(runs(pid) for pid in children)


def test_what_cannot_train_says_why(toys: Search, capsys: pytest.CaptureFixture[str]) -> None:
    broken = load_spec(toys.folder / "space.yaml", overrides=["trouble=bug", "epochs=1000"])
    assert measure(broken, None, GPU) == []
    line = "--per-gpu auto: 1 at a time cannot train: ZeroDivisionError: the objective has a bug\n"
    assert capsys.readouterr().err == line
    slow = load_spec(toys.folder / "space.yaml", overrides=["seconds=60"])
    assert measure(slow, None, GPU, patience=0.1) == []
    assert "cannot train: it takes longer than 0 s to measure" in capsys.readouterr().err


def test_what_is_measured_decides_and_is_shown(
    search: Search, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Meanwhile no other worker gets the GPU, not even one that shares; afterwards every one may."""
    study = search.create()
    other = Leases(study.engine, study.id, "other", Process.current())
    other.join("elsewhere")
    request = DeviceRequest("GPU-a", "GPU 0", share=3)

    def measured(*_: object) -> list[Throughput]:
        (holder,) = claim(other, [request])  # type: ignore[misc]
        assert isinstance(holder, Holder) and holder.label == "GPU 0"
        search.wait(lambda: search.count("SELECT count(*) FROM search_workers WHERE state = 'measuring'"))
        return [Throughput(number, 100.0 * number, True) for number in (1, 2, 3)]

    monkeypatch.setattr(gpu_sharing, "measure", measured)
    shared = share_gpus([GPU], "auto", study, None, Interrupt())
    assert [device.label for device in shared] == [f"GPU 0, {number} of 3" for number in (1, 2, 3)]
    message = "images per second by processes on GPU 0: 1: 100, 2: 200, 3: 300; 3 to each GPU\n"
    assert capsys.readouterr().err.endswith(message)

    assert claim(other, [request]) == request
    with pytest.raises(NoDevice, match="no GPU is free: GPU 0 is used by process"):
        share_gpus([GPU], "auto", study, None, Interrupt())


CONTENDED = """
import fcntl, os, random, time
from search.objective import EpochResult

def train(config, run):
    time.sleep(random.Random(os.getpid()).uniform(2, 5))
    for epoch in range(1, 10_000):
        while True:
            slot = random.randrange(int(config["slots"]))
            with open(f"{config['folder']}/slot-{slot}", "w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    time.sleep(0.002)
                    continue
                time.sleep(0.25)
                break
        yield EpochResult(epoch=epoch, epochs=10_000, score=0.5)
"""


@pytest.mark.nightly
@pytest.mark.parametrize("slots", [1, 3])
def test_real_processes_on_a_contended_device(
    slots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device is a lock file for each process that may train at a time."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "contended.py").write_text(CONTENDED)
    space = {"x": {"low": 0.0, "high": 1.0}, "slots": slots, "folder": str(tmp_path)}
    document = {"objective": "contended", "space": space}
    (tmp_path / "space.yaml").write_text(json.dumps(document))
    measured = measure(load_spec(tmp_path / "space.yaml"), None, GPU)
    assert best(measured) == slots, measured


@pytest.mark.nightly
def test_a_search_measures_and_shows_it(search: Search, tmp_path: Path) -> None:
    """Whatever a busy machine makes of the measurement, as many workers join as it says."""
    search.environment |= fake_gpus(tmp_path, ONE)
    search.environment.pop("CUDA_VISIBLE_DEVICES", None)
    script = (
        "from search.cli.app import main\n"
        "from search.launcher import gpu_sharing\n"
        "gpu_sharing.MOST, gpu_sharing.WINDOW_SECONDS = 3, 3.0\n"
        "main()\n"
    )
    start = ["start", "--per-gpu", "auto", "--trials", "4", "--set", "seconds=0.3"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, *start],
        cwd=search.folder,
        env=search.environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    said = re.search(r"epochs per second by processes on GPU 0: 1: .*; (\d) to each GPU", done.stderr)
    assert said is not None, done.stderr
    count = int(said[1])
    labels = [f"GPU 0, {number} of {count}" for number in range(1, count + 1)] if count > 1 else ["GPU 0"]
    for label in labels:
        assert search.count(f"SELECT count(*) FROM search_workers WHERE device = '{label}'") >= 1, label
    assert [record.state for record in search.records()] == ["complete"] * 4
