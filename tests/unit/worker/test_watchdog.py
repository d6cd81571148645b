"""Trials that hang: noticed, dumped, ended, taken over once. And what only looks like a hang."""

import itertools
import time
from collections.abc import Iterator

import pytest

from search.objective import EpochResult
from search.worker import watchdog
from search.worker.watchdog import Watchdog

SECONDS = 0.2  # as short as a busy machine allows


def epochs(*pauses: float, resumed: bool = False) -> Iterator[EpochResult]:
    """An objective without polls that takes these seconds for its epochs."""
    for epoch, pause in enumerate(pauses, 1):
        time.sleep(pause)
        yield EpochResult(epoch=epoch, epochs=len(pauses), score=0.5, resumed=resumed and epoch == 1)


def watched(results: Iterator[EpochResult], pause: float = 0.0) -> list[str]:
    """What the watchdog said of an objective whose epochs the worker takes `pause` seconds to report."""
    said: list[str] = []
    for _ in Watchdog(said.append, SECONDS).over(results):
        time.sleep(pause)
    return said


def test_a_pause_of_five_times_the_usual_is_a_hang() -> None:
    assert watched(epochs(0.0, 0.0, SECONDS * 4)) == [
        "hung after epoch 2: no batch for 0 s, the longest pause before was 0 s"
    ]


def test_what_is_usual_is_the_longest_pause_so_far() -> None:
    assert watched(epochs(SECONDS * 0.9, SECONDS * 2.5)) == []
    assert len(watched(epochs(SECONDS * 0.9, SECONDS * 12))) == 1


def test_the_first_epoch_may_take_its_time() -> None:
    """Also the first one after a checkpoint: this process has trained none."""
    assert watched(epochs(SECONDS * 3)) == []
    assert watched(epochs(0.0, SECONDS * 3, resumed=True)) == []
    assert "before its first epoch" in watched(epochs(SECONDS * 14))[0]


def test_polls_are_signs_and_the_workers_own_time_is_not_watched() -> None:
    said: list[str] = []
    dog = Watchdog(said.append, SECONDS)
    poll = dog.polled(lambda: False)

    def polling() -> Iterator[EpochResult]:
        yield from epochs(0.0)
        end = time.monotonic() + SECONDS * 3
        while time.monotonic() < end:
            assert poll() is False
            time.sleep(SECONDS / 20)
        yield EpochResult(epoch=2, epochs=2, score=0.5)

    for _ in dog.over(polling()):
        time.sleep(SECONDS * 2)
    assert said == []


def test_time_in_which_the_machine_slept_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look finds the clock an hour on, as after a suspension."""
    hours = itertools.count()
    really = time.monotonic
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: really() + 3600 * next(hours))
    assert watched(epochs(0.0, SECONDS * 0.4)) == []
