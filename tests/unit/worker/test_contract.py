"""Numbers and iterators as objectives give them."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from search.errors import ObjectiveError
from search.loading import train
from search.objective import EpochResult, Run

RUN = Run(Path("nowhere"))


def trained(**fields: Any) -> EpochResult:
    """The only epoch of an objective that yields these fields."""
    fields = {"epoch": 1, "epochs": 4, "score": 0.5, **fields}
    (result,) = train(SimpleNamespace(train=lambda *_: iter([EpochResult(**fields)])), {}, RUN)
    return result


def epoch(number: int) -> EpochResult:
    return EpochResult(epoch=number, epochs=3, score=0.5)


def test_numbers_of_other_libraries_become_pythons() -> None:
    result = trained(
        epoch=np.int64(2),
        epochs=torch.tensor(10),
        score=np.float32(0.5),
        lr=torch.tensor(0.25),
        metrics={"iou": np.array(0.75), "images_per_second": np.int32(9)},
        applied={"x": np.float64(0.5), "kind": np.str_("plain"), "deep": np.bool_(True), "none": None},
        images={"a.png": np.float32(0.5), 7: torch.tensor(0.25)},
    )
    assert (result.epoch, result.epochs, result.score, result.lr) == (2, 10, 0.5, 0.25)
    assert {type(result.epoch), type(result.epochs)} == {int}
    assert {type(result.score), type(result.lr), *map(type, result.metrics.values())} == {float}
    assert [type(value) for value in result.applied.values()] == [float, str, bool, type(None)]
    assert json.dumps(result.images) == '{"a.png": 0.5, "7": 0.25}'
    assert not trained(score=np.float32("nan")).finite


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"score": "0.5"}, "objective: score is '0.5' (str); it must be a number"),
        ({"score": None}, "objective: score is None (NoneType)"),
        ({"score": np.array([0.5, 0.6])}, "objective: score is array([0.5, 0.6]) (ndarray)"),
        ({"score": torch.ones(3)}, "objective: score is tensor([1., 1., 1.]) (Tensor)"),
        ({"epoch": 1.5}, "objective: epoch 1.5 is not a whole number"),
        ({"epochs": float("inf")}, "objective: epochs inf is not a whole number"),
        ({"score": 10**400}, "objective: score is 1000"),
        ({"epochs": 2**31}, "objective: epochs is 2147483648, above 2147483647"),
        ({"metrics": {"iou": [0.1]}}, "objective: iou is [0.1] (list)"),
        ({"metrics": None}, "objective: metrics is None (NoneType); it must be a dict by name"),
        ({"images": [0.1, 0.2]}, "objective: images is [0.1, 0.2] (list); it must be a dict by name"),
        ({"images": {"a.png": "0.1"}}, "objective: a.png is '0.1' (str); it must be a number"),
        ({"applied": {"x": np.ones(2)}}, "objective: x is array([1., 1.]) (ndarray); it must be one value"),
    ],
)
def test_what_is_no_number_is_refused_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        trained(**wrong)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (0.5, "train returned float; it must yield an EpochResult per epoch"),
        (None, "train returned NoneType"),
        ([EpochResult(epoch=1, epochs=1, score=0.5)], "train returned list"),
        (iter([0.5]), "train yielded float"),
        (
            iter([EpochResult(epoch=epoch, epochs=3, score=0.5) for epoch in (1, 1)]),
            "epoch 1 after epoch 1",
        ),
        (
            iter([EpochResult(epoch=epoch, epochs=3, score=0.5) for epoch in (2, 1)]),
            "epoch 1 after epoch 2",
        ),
    ],
)
def test_what_is_no_generator_of_epochs_is_refused(returned: Any, message: str) -> None:
    with pytest.raises(ObjectiveError, match=message):
        list(train(SimpleNamespace(train=lambda config, run: returned), {}, RUN))


def test_closing_ends_the_objectives_own_generator() -> None:
    ended = []

    def epochs(config: Any, run: Run) -> Iterator[EpochResult]:
        try:
            yield EpochResult(epoch=1, epochs=2, score=0.5)
        finally:
            ended.append(True)

    results = train(SimpleNamespace(train=epochs), {}, RUN)
    next(results)
    results.close()
    assert ended
    one = EpochResult(epoch=1, epochs=1, score=0.5)
    assert list(train(SimpleNamespace(train=lambda *_: iter([one])), {}, RUN)) == [one], "it needs no close"
