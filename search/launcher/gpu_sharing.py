"""How many workers share a GPU: as many as train the most images per second together.

A small model leaves most of a large GPU idle. `--per-gpu auto` measures with the study's own objective on
the first GPU that is free, and holds its lease meanwhile. One process trains an example config in a
temporary folder, then another joins it, and so on: as long as one more makes the total a few per cent
larger and fits into free memory. What counts is what all of them train while all of them train.
"""

import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from search.errors import UserError
from search.launcher.training_process import TrainingProcess, spawn
from search.render.output import say
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.spec.spec import Spec
from search.study.study import Study
from search.worker.device_lease import acquire_device
from search.worker.heartbeat import Heartbeat
from search.worker.retry import try_once
from storage.leases import Leases
from storage.processes import Process

MOST = 8  # processes to try
LARGEST = 16  # workers of one GPU
EPOCHS = 3  # of each process that are measured at least, after a first one that is not
WINDOW_SECONDS = 20.0  # that are measured at least: short epochs take turns unevenly
WORTH = 1.05  # times as much another process must bring
SPARE = 1.1  # times the memory of one process that must be free for another
PATIENCE = 300.0  # seconds to measure one number of processes


@dataclass(frozen=True, slots=True)
class Throughput:
    """What `count` processes train together.

    Attributes:
        speed: `unit` per second in total.
        room: whether one more would fit into the device's memory.
        unit: `images`; `epochs` where the objective counts no images.
    """

    count: int
    speed: float
    room: bool
    unit: str = "images"


def check(per_gpu: str, devices: Sequence[Device]) -> None:
    """Raises UserError where `per_gpu` is neither `auto` nor a number, or a number without a GPU."""
    if per_gpu != "auto" and not (per_gpu.isdecimal() and 1 <= int(per_gpu) <= LARGEST):
        raise UserError(f"--per-gpu: {per_gpu!r} is neither auto nor a number from 1 to {LARGEST}")
    if per_gpu not in ("auto", "1") and devices[0].key is None:
        raise UserError(f"--per-gpu: {per_gpu}, but this machine has no GPU; --workers divides its cores")


def share_gpus(
    devices: Sequence[Device], per_gpu: str, study: Study, data: Path | None, interrupt: Interrupt
) -> Sequence[Device]:
    """Each device as often as `per_gpu` says; measures for `auto`, and prints what it measured.

    Raises:
        NoDevice: other workers have all the devices, so none can be measured.
    """
    if devices[0].key is None:
        say("--per-gpu auto: this machine has no GPU; --workers divides its cores")
        return devices
    if per_gpu == "auto":
        with leased(study, devices, interrupt) as device:
            say(f"--per-gpu auto: trains in one process on {device.label}, then in more while that pays")
            measured = measure(study.spec, data, device)
        count = best(measured)
        speeds = ", ".join(f"{each.count}: {each.speed:.4g}" for each in measured) or "none ran"
        unit = measured[0].unit if measured else "images"
        say(f"{unit} per second by processes on {device.label}: {speeds}; {count} to each GPU")
    else:
        count = int(per_gpu)
    if count == 1:
        return devices
    return [
        replace(device, label=f"{device.label}, {index} of {count}", share=count)
        for index in range(1, count + 1)
        for device in devices
    ]


@contextmanager
def leased(study: Study, devices: Sequence[Device], interrupt: Interrupt) -> Iterator[Device]:
    """The first of the devices that is free, leased in this block to this process alone."""
    leases = Leases(study.engine, study.id, uuid.uuid4().hex, Process.current())
    try:
        with Heartbeat(leases) as heartbeat:
            device = acquire_device(leases, devices, interrupt, heartbeat)
            heartbeat.drop("measuring")  # what status shows
            yield device
    finally:
        try_once(leases.leave)


def measure(spec: Spec, data: Path | None, device: Device, patience: float = PATIENCE) -> list[Throughput]:
    """What one process trains, then two, and so on: see `while_it_pays`."""
    children: list[TrainingProcess] = []
    with tempfile.TemporaryDirectory(prefix="search-packing-") as folder, ExitStack() as ends:

        def with_one_more(count: int) -> Throughput | None:
            children.append(spawn(spec, data, device, Path(folder) / str(count)))
            ends.callback(children[-1].end)
            return _together(children, patience)

        return while_it_pays(with_one_more)


def while_it_pays(measure: Callable[[int], Throughput | None]) -> list[Throughput]:
    """Measures 1 to `MOST` processes, and ends with the first that does not pay, fit or train."""
    measured: list[Throughput] = []
    while len(measured) < MOST and (each := measure(len(measured) + 1)) is not None:
        measured.append(each)
        if not each.room or best(measured) < each.count:
            break
    return measured


def best(measured: Sequence[Throughput]) -> int:
    """The best number of processes; 1 where not even one process could be measured."""
    chosen = 1
    for before, after in pairwise(measured):
        if after.speed <= before.speed * WORTH:
            break
        chosen = after.count
    return chosen


def rate(finished: Sequence[Sequence[float]]) -> float | None:
    """Epochs per second of all processes together in the window in which all of them train.

    It begins when the last of them has finished its first epoch, and ends when the first of them has
    finished its last. An epoch that is partly in it counts with that part.

    Args:
        finished: when each process finished its epochs so far, in seconds of one clock.

    Returns:
        None while the window is too short.
    """
    if not all(finished):
        return None
    start, end = max(times[0] for times in finished), min(times[-1] for times in finished)
    whole = min(sum(start < time <= end for time in times) for times in finished)
    if whole < EPOCHS or end - start < WINDOW_SECONDS:
        return None
    done = [np.interp([start, end], times, np.arange(len(times))) for times in finished]
    return float(sum(after - before for before, after in done) / (end - start))


def _together(children: Sequence[TrainingProcess], patience: float) -> Throughput | None:
    """What these processes train together; None, and a line that says why, where they cannot."""
    deadline = time.monotonic() + patience
    while (epochs := rate([[epoch.at for epoch in child.epochs] for child in children])) is None:
        said = [child.last_words for child in children if child.has_ended]
        if time.monotonic() > deadline:
            said.append(f"it takes longer than {patience:.0f} s to measure")
        if said:
            say(f"--per-gpu auto: {len(children)} at a time cannot train: {said[0]}")
            return None
        time.sleep(0.05)
    last = [child.epochs[-1] for child in children]
    free, total = min(epoch.free for epoch in last), last[0].total
    images = [epoch.images for epoch in children[0].epochs[1:] if epoch.images is not None]
    return Throughput(
        len(children),
        epochs * (statistics.median(images) if images else 1.0),
        free >= SPARE * (total - free) / len(children),
        "images" if images else "epochs",
    )
