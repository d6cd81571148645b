"""The contract between the service and what it trains, and nothing else.

An objective is a module with `train(config, run)`, a generator of `EpochResult`. All else is optional:

    vocabulary                           a Vocabulary: what things are called, how curves are read
    configure(params)                    params as a config of its own; without it, they are the config
    describe(config, data)               the data before anything trains on them, as a Description
    check(config, description)           refuses a config that cannot be trained on them
    constraints(config, description)     the limits that configs must keep, each a Constraint
    describe_test, score_test            a labelled test split, for `search report --final`
    propose_dataset(data)                for `search check --propose-dataset`
    show_augmentation(config, data, path)                      for `search check --show-augmentation`
    settings_schema(), dataset_schema()                        for `search schema`
    predictor, export_model, export_onnx, write_submission     for `search predict`, `export`, `submit`

`Objective` below has their contracts, search/objective/results.py those of the last line. An objective
knows neither Optuna nor SQL, and the service knows nothing about models. The stock one is `search.mseg`;
`search/loading.py` imports it.

The trainer is a generator, so its consumer decides: the worker reports and prunes, `confirm` collects, a
test takes two epochs and closes. Closing it ends the training and frees the device.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from search.objective.vocabulary import CurveShape, Examples, Vocabulary

__all__ = [
    "NOTHING",
    "PICTURE",
    "WEIGHTS",
    "Constraint",
    "CurveShape",
    "Description",
    "EpochResult",
    "Examples",
    "ImageScores",
    "LabelledTest",
    "Objective",
    "Params",
    "Run",
    "Value",
    "Vocabulary",
]

Value = bool | int | float | str | None
"""One parameter's value: what YAML has as a scalar."""

Params = Mapping[str, Any]
"""Flat parameters by dotted name (`optimizer.learning_rate`): constants and sampled ones together."""

MOST_SCORE = 1e300

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochResult:
    """One validated epoch.

    Attributes:
        epoch: from 1 to `epochs`.
        epochs: how many this run will train at most.
        score: the study's metric in this epoch; NaN, infinite or beyond 1e300 means that training diverged.
        lr: the learning rate this epoch trained at.
        metrics: further floats by name; live views show `images_per_second`. An objective that wants to
            keep the others writes them to its folder itself (`history.json`: `search/recorded_run.py`).
        applied: values read back from the live objects by parameter name; the worker compares them
            with what was sampled and fails the trial where one differs.
        resumed: an earlier call on the same folder trained this epoch; it is yielded once more.
        parameters: number of trainable parameters of the model; None if there is no model.
        forward_ms: milliseconds for one example on the run's device, measured once; None if unknown.
        images: the score of each validation image by its name, or what the vocabulary's `image_words` say;
            those of the best epoch are kept in `images.json`. Empty if it is not known.
    """

    epoch: int
    epochs: int
    score: float
    lr: float | None = None
    metrics: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    applied: Mapping[str, Value] = field(default_factory=lambda: NOTHING)
    resumed: bool = False
    parameters: int | None = None
    forward_ms: float | None = None
    images: Mapping[str, float] = field(default_factory=lambda: NOTHING)

    def __post_init__(self) -> None:
        if not 1 <= self.epoch <= self.epochs:
            raise ValueError(f"epoch {self.epoch} is not within 1 to {self.epochs}")

    @property
    def finite(self) -> bool:
        """Whether the score can be averaged; a sum of those beyond `MOST_SCORE` is infinite."""
        return abs(self.score) <= MOST_SCORE


@dataclass(frozen=True, slots=True)
class Run:
    """Where and how one training runs; nothing in it is searched.

    Attributes:
        dir: the only folder `train` may write to; a checkpoint found there is continued.
        device: `cpu`, `cuda:0`, `mps`: a torch device where torch is used.
        seed: of weights, data order and augmentation.
        should_stop: polled each batch; once true, `train` returns without finishing the epoch.
        data: the folder with the data on this machine; None if none was given.
        smooth: how many validations the study averages into its score; early stopping should do the same.
        all_data: train on the validation examples too. Then no score may decide anything: `train` does not
            stop early, and the weights it leaves are the last epoch's. Only set where the objective's
            vocabulary says `all_data`.
        score: which of the scores in the objective's vocabulary to yield; None: the first.
    """

    dir: Path
    device: str = "cpu"
    seed: int = 0
    should_stop: Callable[[], bool] = lambda: False
    data: Path | None = None
    smooth: int = 5
    all_data: bool = False
    score: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """An objective's data, before anything trains on them.

    Attributes:
        train, val: numbers of examples.
        classes: number of classes.
        image_size: side of a training image in pixels, or its height and width.
        source: where the data come from, in words (`drawn`, a folder).
        parameters: number of trainable parameters of the model; None if there is no model.
        fingerprint: parts by name, each a short text that changes when the data do; two workers whose
            fingerprints differ may not join one study.
        problems: sentences about what looks wrong although the data can be trained on.
        fixed_val: whether the validation examples stay the same whatever seed draws the split.
    """

    train: int
    val: int
    classes: int
    image_size: int | tuple[int, int]
    source: str
    parameters: int | None = None
    fingerprint: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    problems: Sequence[str] = ()
    fixed_val: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """A limit that configs must keep, and by how much one of them misses it.

    Attributes:
        name: of the setting that sets the limit, such as `model.max_parameters`.
        violation: finite; above 0 where the config is infeasible. One scale for all configs, since samplers
            learn from it where the limit is.
        text: what is wrong where it is infeasible, and what to do about it, in one line.
    """

    name: str
    violation: float
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledTest:
    """A labelled test split, before any of it is scored.

    Attributes:
        images: number of images, at least 1.
        fingerprint: parts by name, each a short text that changes when the images, their labels or the
            way in which they are scored do. It is stored with the scores and names no file.
        problems: sentences about what weakens the test, such as images that were trained on.
    """

    images: int
    fingerprint: Mapping[str, str]
    problems: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageScores:
    """What one trial's weights score on the test split.

    Attributes:
        scores: the study's metric of each image, or what the vocabulary's `image_words` say, all finite,
            in an order that every trial has. Their mean is the score.
        per_class: by class, the mean over the images that hold it, and how many do; classes that none
            holds are left out.
    """

    scores: Sequence[float]
    per_class: Mapping[str, tuple[float, int]] = field(default_factory=lambda: NOTHING)


WEIGHTS = "best.safetensors"
"""The file in a trial's folder that stays for the best trials, and that `score_test` is given."""

PICTURE = "overlay.png"
"""A picture that `train` may leave in the run's folder; the trial's page in the dashboard shows it."""


class Objective(Protocol):
    """A module that can be searched. Only `train` is required, so only that is checked by types.

    Contract of `train`:
        - it writes only under `run.dir`, and replaces files rather than rewriting them in place;
        - it saves a durable checkpoint (written beside, synced, renamed) before yielding its epoch;
        - called on a folder with a checkpoint, it first yields that epoch once more with
          `resumed=True`, then goes on with the next;
        - it polls `run.should_stop()` at each batch and returns when that is true;
        - it may return before `epochs`, which is early stopping.

    Contract of `configure(params)`: it returns what `train` and all others get as `config`. It raises
    SpaceError for params that it does not know or that are out of range.

    Contract of `describe(config, data)`: it returns a `Description`, and raises DataError, in one line, if
    there is nothing to train on. `data` is the folder of --data, or None.

    Contract of `check(config, description)`: it raises SpaceError for a config that cannot be trained on
    the data that `describe` described. It is called for the corners of the space and for every known config
    before a study is created, so it must be fast.

    Contract of `constraints(config, description)`: it returns a `Constraint` for each limit that the study
    sets, the same ones for every config of a study. It must depend on its arguments alone and use no
    device: it is asked about every config that is drawn, and an infeasible one is drawn again.
    `description` is None if the objective has no `describe`.

    Contract of `propose_dataset(data)`: it returns the text of a file that describes the data, as a draft.

    Contract of `show_augmentation(config, data, path)`: it writes a picture of augmented examples, a PNG.

    Contract of `settings_schema()` and `dataset_schema()`: JSON Schema, draft 7, with units and ranges. The
    first is an object of sections, each an object of plain settings, as they are below `space`; the service
    adds how a setting is searched. The second is the whole of a data folder's description.

    Contract of the test split, which needs both functions and which only `search report --final` reads:
        - `describe_test(config, data) -> LabelledTest` describes what would be scored, and scores nothing;
        - `score_test(config, weights, data, device) -> ImageScores` scores a file `WEIGHTS` that `train`
          left for this config, and writes nothing; scores do not depend on its batch size. It gets
          `score=NAME` too where the study names one;
        - both raise DataError, in one line, if there is no labelled test split;
        - neither `train` nor `describe` reads the split.
    """

    def train(self, config: Any, run: Run) -> Iterator[EpochResult]: ...
