"""What can be searched: the contract between the service and the thing it trains.

An objective is a module with `train(config, run)`, and optionally `configure(params)`,
`describe(config, data)`, and the pair `describe_test(config, data)` and
`score_test(config, weights, data, device)`. It knows neither Optuna nor SQL; the service knows nothing
of models. The stock objective is `search.mseg`; `objective: my_module` in space.yaml names another.

The trainer is a generator: whoever consumes it decides. The worker reports and prunes, `confirm`
collects, a test takes two epochs and closes. Closing it ends the training and frees the device.
"""

import importlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from search.errors import SpaceError

Value = bool | int | float | str | None
"""One parameter's value: what YAML has as a scalar."""

Params = Mapping[str, Any]
"""Flat parameters by dotted name (`optimizer.learning_rate`): constants and sampled ones together."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochResult:
    """One validated epoch.

    Attributes:
        epoch: from 1 to `epochs`.
        epochs: how many this run will train at most.
        score: the study's metric of this epoch; NaN or infinite says that training diverged.
        lr: the learning rate this epoch trained at.
        metrics: further floats by name; `images_per_second` is shown. What of the others should outlive the
            run, an objective writes into its folder itself (`history.json`: `search/recorded_run.py`).
        applied: values read back from the live objects by parameter name; the worker compares them
            with what was sampled and fails the trial where one differs.
        resumed: this epoch was trained by an earlier call on the same folder and is told once more.
    """

    epoch: int
    epochs: int
    score: float
    lr: float | None = None
    metrics: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    applied: Mapping[str, Value] = field(default_factory=lambda: NOTHING)
    resumed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.epoch <= self.epochs:
            raise ValueError(f"epoch {self.epoch} is not within 1 to {self.epochs}")

    @property
    def finite(self) -> bool:
        return math.isfinite(self.score)


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Run:
    """Where and how one training runs; nothing in it is searched.

    Attributes:
        dir: the only folder `train` may write to; a checkpoint found there is continued.
        device: `cpu`, `cuda:0`, `mps`: a torch device where torch is used.
        seed: of weights, data order and augmentation.
        should_stop: polled each batch; once true, `train` returns without finishing the epoch.
        data: the folder with the data on this machine, where the objective needs one.
        smooth: how many validations the study averages into its score; patience reads the same.
    """

    dir: Path
    device: str = "cpu"
    seed: int = 0
    should_stop: Callable[[], bool] = _never
    data: Path | None = None
    smooth: int = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What an objective says of its data before anything trains.

    Attributes:
        train, val: numbers of examples.
        classes: number of classes.
        image_size: side of a training image in pixels.
        source: where the data come from, in words (`drawn`, a folder).
        parameters: trainable parameters of the model, where there is one.
        fingerprint: parts by name, each a short text that changes when the data do; two workers whose
            fingerprints differ may not join one study.
        problems: sentences about what looks wrong, though it can be trained on.
    """

    train: int
    val: int
    classes: int
    image_size: int
    source: str
    parameters: int | None = None
    fingerprint: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    problems: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledTest:
    """What an objective says of its labelled test split before anything of it is scored.

    Attributes:
        images: how many there are, at least 1.
        fingerprint: parts by name, each a short text that changes when the images, their labels or the
            way in which they are scored do. It is stored with the scores and names no file.
        problems: sentences about what makes it less of a test, such as images that were trained on.
    """

    images: int
    fingerprint: Mapping[str, str]
    problems: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageScores:
    """What one trial's weights score on the test split.

    Attributes:
        scores: the study's metric of each image, all finite, in an order that every trial has. Their
            mean is the score.
        per_class: by class, the mean over the images that hold it, and how many do; classes that none
            holds are left out.
    """

    scores: Sequence[float]
    per_class: Mapping[str, tuple[float, int]] = field(default_factory=lambda: NOTHING)


WEIGHTS = "best.safetensors"
"""The file in a trial's folder that stays for the best trials, and that `score_test` is given."""


class Objective(Protocol):
    """A module that can be searched. Only `train` is required.

    Contract of `train`:
        - it writes only under `run.dir`, and replaces files rather than rewriting them in place;
        - it saves a durable checkpoint (written beside, synced, renamed) before yielding its epoch;
        - called on a folder with a checkpoint, it first yields that epoch once more with
          `resumed=True`, then goes on with the next;
        - it polls `run.should_stop()` at each batch and returns when that is true;
        - it returns before `epochs` when it stops early of its own accord.

    Contract of the test split, which only `search report --final` reads, with both functions there:
        - `describe_test(config, data) -> LabelledTest` says what would be scored, and scores nothing;
        - `score_test(config, weights, data, device) -> ImageScores` scores a file `WEIGHTS` that `train`
          left for this config, and writes nothing; the batch size it does that with changes no score;
        - both raise DataError where there is no labelled test split, in one line that says so;
        - nothing else reads it: neither `train` nor `describe`.
    """

    def train(self, config: Any, run: Run) -> Iterator[EpochResult]: ...


def load_objective(name: str) -> Any:
    """The module `name`; raises SpaceError where it cannot be imported or has no `train`.

    The working folder is searched last, so that no folder in it shadows an installed package.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    wrong = partial(SpaceError, parameter="objective")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that is there but lacks one of its own imports is told apart by the name.
        missing = error.name or name
        if name == missing or name.startswith(missing + "."):
            remedy = "run in its folder, or put that on PYTHONPATH"
            raise wrong(f"objective: no module named {name!r}; {remedy}") from error
        raise wrong(f"objective: {name} needs {missing!r}, which is not installed") from error
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise wrong(f"objective: importing {name} fails with {said}; --debug shows where") from error
    if not callable(getattr(module, "train", None)):
        raise wrong(f"objective: {name} has no function train(config, run)")
    return module


def configure(objective: Any, params: Params) -> Any:
    """The objective's own config for `params`; `params` itself where it has no `configure`."""
    build = getattr(objective, "configure", None)
    return build(params) if build else params


def describe(objective: Any, config: Any, data: Path | None) -> Description | None:
    """What the objective says of its data; None where it says nothing."""
    say = getattr(objective, "describe", None)
    return say(config, data) if say else None
