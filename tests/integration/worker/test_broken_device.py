"""A device that does not work, or has no memory left, as a worker and a search see it."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy
from fake_nvml import fake_gpus
from service import Search

from search.errors import BrokenDevice, DeviceLost
from search.objective import EpochResult, Run
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.read import read_records
from search.study.study import Study
from search.worker import faults, out_of_memory
from search.worker import worker as worker_module
from search.worker.outcome import MAX_DEATHS
from search.worker.worker import Worker

GPU = Device("cuda:0", "GPU 0")
ASSERT = "CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA` to enable assertions."


@pytest.fixture(autouse=True)
def gpu(search: Search, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU that works, in this process and in new ones."""
    monkeypatch.setenv("SEARCH_TOY_LOG", str(search.folder))
    for module in (worker_module, faults):
        monkeypatch.setattr(module, "kernel_error", lambda _: None)
    monkeypatch.setattr(faults, "error_in_new_process", lambda _: None)
    monkeypatch.setattr(out_of_memory, "WAIT_SECONDS", 0.0)
    return monkeypatch


def worker(search: Search, study: Study, fails: Callable[[EpochResult], None] | None = None) -> Worker:
    """A worker on GPU 0; `fails` may raise after each epoch."""

    def train(config: Any, run: Run) -> Iterator[EpochResult]:
        for result in toy.train(config, run):
            yield result
            if fails is not None:
                fails(result)

    made = Worker(study, search.folder / "runs", None, [GPU])
    made.objective = SimpleNamespace(configure=toy.configure, describe=toy.describe, train=train)
    return made


def failing(epoch: int, error: Exception, times: int = 1_000) -> Callable[[EpochResult], None]:
    """Raises `error` after `epoch`, `times` times."""
    left = [error] * times

    def fail(result: EpochResult) -> None:
        if result.epoch == epoch and left:
            raise left.pop()

    return fail


def test_a_worker_whose_device_does_not_work_claims_nothing(
    search: Search, gpu: pytest.MonkeyPatch
) -> None:
    study = search.create(trials=1)
    gpu.setattr(worker_module, "kernel_error", lambda _: RuntimeError("No CUDA GPUs are available"))
    with pytest.raises(BrokenDevice, match=r"^GPU 0 .* cannot train: No CUDA GPUs are available; see nv"):
        worker(search, study).run(Interrupt())
    assert read_records(study) == []


@pytest.mark.parametrize("message", ["CUDA error: uncorrectable ECC error encountered", "mat1 and mat2"])
def test_a_device_that_breaks_costs_the_known_config_nothing(
    search: Search, gpu: pytest.MonkeyPatch, message: str
) -> None:
    """As often as it happens: the trial is given back and is no death; another machine goes on with it."""
    study = search.create(trials=1)
    gpu.setattr(faults, "kernel_error", lambda _: RuntimeError(f"CUDA error: {message}"))
    gpu.setattr(faults, "error_in_new_process", lambda _: "No CUDA GPUs are available")
    for _ in range(MAX_DEATHS + 1):
        with pytest.raises(BrokenDevice, match=r"^GPU 0 .*the trial was given back\)$"):
            worker(search, study, failing(1, RuntimeError(message))).run(Interrupt())
        (record,) = read_records(study)
        assert (record.state, record.worker) == ("running", None)
    assert worker(search, study).run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, record.known, len(record.curve)) == ("complete", "by hand", 4)
    assert set(search.trained().values()) == {1}


def test_an_assertion_in_a_kernel_is_the_trials_bug_and_ends_the_process(search: Search) -> None:
    study = search.create(trials=2)
    with pytest.raises(DeviceLost, match="trial 0 has cost this process its device"):
        worker(search, study, failing(2, RuntimeError(ASSERT))).run(Interrupt())
    assert worker(search, study).run(Interrupt()) == 0
    bad, good = read_records(study)
    assert (bad.state, bad.attempts, good.state) == ("failed", 1, "complete")
    assert bad.reason is not None and (bad.reason.code, bad.reason.epoch) == ("bug", 2)
    assert bad.reason.text.splitlines()[-1].startswith("CUDA error: device-side assert triggered (a label")


def test_a_trial_that_lacks_memory_is_tried_once_more_from_its_checkpoint(
    search: Search, caplog: pytest.LogCaptureFixture
) -> None:
    """A neighbour had the memory: the sampler hears nothing of it."""
    caplog.set_level(logging.INFO)
    study = search.create(trials=1)
    once, twice = (failing(epoch, RuntimeError("CUDA error: out of memory"), times=1) for epoch in (1, 3))

    def fail(result: EpochResult) -> None:
        once(result)
        twice(result)

    assert worker(search, study, fail).run(Interrupt()) == 0
    (record,) = read_records(study)
    assert (record.state, record.reason, record.attempts, len(record.curve)) == ("complete", None, 1, 4)
    assert set(search.trained().values()) == {1}
    assert caplog.text.count("tries once more") == 2, "each time it had got further"


def test_a_trial_that_lacks_memory_twice_in_a_row_is_told_to_the_sampler(search: Search) -> None:
    calls = []

    def fail(result: EpochResult) -> None:
        calls.append(result.epoch)
        raise MemoryError("no room for the batch")

    study = search.create(trials=1)
    worker(search, study, fail).run(Interrupt())
    (record,) = read_records(study)
    assert record.reason is not None and (record.state, record.reason.code) == ("pruned", "oom")
    assert calls == [1, 1], "from its checkpoint it got no further"


def test_a_search_on_a_broken_gpu_ends_with_one_line(search: Search, tmp_path: Path) -> None:
    """Its worker is not started again and again, and no trial has failed."""
    search.environment |= fake_gpus(tmp_path, {"GPU-aaaa": []})
    search.environment.pop("CUDA_VISIBLE_DEVICES", None)
    answer = search.run("start", "--trials", "3", "--set", "trouble=ecc", code=1)
    line = answer.err.splitlines()[-1]
    assert "GPU 0 of this machine cannot train: CUDA error: uncorrectable ECC error encountered" in line
    assert line.endswith("(the trial was given back)")
    (record,) = search.records()
    assert (record.state, record.worker, record.attempts) == ("running", None, 1)
