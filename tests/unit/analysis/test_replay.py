"""The verdict on a repetition: identical, within noise, or not reproduced; and what was different."""

import json
import math
from typing import Any

import numpy as np
import pytest

from search.analysis.replay import Difference, ReplayAnswer, differences_of, replayed


def curve(seed: int, epochs: int = 40, top: float = 0.7, noise: float = 0.01) -> list[float | None]:
    rng = np.random.default_rng(seed)
    return [top * (1 - math.exp(-epoch / 8)) + noise * rng.standard_normal() for epoch in range(epochs)]


def verdict(then: list[Any], now: list[Any], *differences: Difference) -> ReplayAnswer:
    answer = replayed(then, now, differences, smooth=5, direction="maximize")
    json.dumps(answer.to_json(), allow_nan=False)
    return answer


LIBRARY = Difference("library", "torch", "2.8.0", "2.9.0")


def test_equal_curves_are_identical_whatever_else_differs() -> None:
    answer = verdict(curve(1), curve(1), LIBRARY, Difference("seed", "seed", 1, 2))
    assert (answer.verdict, answer.differs_from, answer.largest) == ("identical", None, 0.0)
    assert answer.value == answer.replayed


def test_rounding_is_within_noise_even_of_a_short_run() -> None:
    then = curve(1, epochs=3)
    now = [score and score + 1e-9 for score in then]
    now[0] = then[0]
    answer = verdict(then, now, LIBRARY)
    assert (answer.verdict, answer.differs_from) == ("within noise", 2)
    assert answer.largest == pytest.approx(1e-9, rel=1e-3)


def test_another_draw_of_the_noise_is_within_it_and_a_lower_level_is_not() -> None:
    answer = verdict(curve(1), curve(2), LIBRARY)
    assert answer.verdict == "within noise"
    found = answer.to_json()["difference"]
    assert found["low"] < 0 < found["high"]
    assert verdict(curve(1), curve(2, top=0.6), LIBRARY).verdict == "not reproduced"


@pytest.mark.parametrize("kind", ["settings", "seed", "data"])
def test_another_training_is_never_within_noise(kind: Any) -> None:
    assert verdict(curve(1), curve(2), Difference(kind, "a", 1, 2)).verdict == "not reproduced"


def test_runs_too_short_to_know_their_noise_are_not_reproduced() -> None:
    assert verdict(curve(1, epochs=4), curve(2, epochs=4)).verdict == "not reproduced"


def test_a_run_that_ends_elsewhere_is_not_reproduced() -> None:
    answer = verdict(curve(1), curve(1)[:-1])
    assert (answer.verdict, answer.differs_from) == ("not reproduced", 40)
    assert verdict(curve(1), [*curve(1)[:-1], None]).verdict == "not reproduced"


def test_differences_are_named_by_what_they_are_about() -> None:
    then = {
        "model.dropout": 0.1,
        "provenance.seed": 1,
        "provenance.torch": "2.8.0",
        "provenance.device_name": "x86_64",
        "provenance.data.masks": "abc",
        "provenance.kornia": "0.8",
    }
    now = {
        "model.dropout": 0.2,
        "model.width": 32,  # a setting that is new since: not recorded then
        "provenance.seed": 2,
        "provenance.torch": "2.9.0",
        "provenance.device_name": "arm64",
        "provenance.data.masks": "def",
        "provenance.kornia": "0.8",
        "provenance.code": "0.1.0 abc",
        "provenance.threads": 2,
    }
    found = differences_of(then, now)
    assert {(each.kind, each.name) for each in found} == {
        ("settings", "model.dropout"),
        ("seed", "seed"),
        ("library", "torch"),
        ("device", "device_name"),
        ("data", "data.masks"),
        ("code", "code"),
    }
    assert next(each for each in found if each.kind == "code").then is None
