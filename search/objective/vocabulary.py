"""What an objective calls things, and how its learning curves are shaped."""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from search.scoring import Direction


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveShape:
    """How the learning curve of a config must be read, as far as its settings say.

    Attributes:
        delay: epochs at its start in which the score says nothing, such as a warm-up; 0 or more.
        horizon: how many epochs the config trains at most; None if that is unknown.
        restarts: first epochs of the second, third, ... cycle, ascending; may be endless.
        kind: only curves of one kind are comparable half-way; None: all curves are.
    """

    delay: int = 0
    horizon: int | None = None
    restarts: Iterable[int] = ()
    kind: Hashable = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """A few validation examples as a run's best weights saw them, to be compared between two runs.

    Attributes:
        names: one for each of the N examples; two runs are comparable if theirs are equal.
        scores: (N,) of each example, what the vocabulary's `class_score_words` say.
        images, truth, predicted: (N, H, W, 3) uint8 arrays, RGB, ready to be drawn.
    """

    names: Sequence[str]
    scores: Sequence[float]
    images: Any
    truth: Any
    predicted: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """What generic code cannot know about an objective: how things are called, and what they mean.

    An objective may have one as its attribute `vocabulary`; every field has a default. "In words" below
    means lower case, with `_` between the words: `Warm-up epochs` is `warm_up_epochs`.

    Attributes:
        aliases: what people call a setting, in words -> the last part of its name, in words.
        recorded_aliases: a setting's last part, in words, as recorded runs have it -> as the space has it.
        recorded_names: a setting's last two parts, in words, as recorded runs or the space have them -> the
            one name, in words, for what both mean.
        recorded_values: a choice as recorded runs have it -> as the space has it.
        labels: dotted names of recorded settings that only say what a run is called or where it is.
        first: ends of the dotted names that a comparison lists first: what people give as causes.
        former: settings by dotted name that older versions of the objective had, with their only value.
        curve: (flat params) -> the shape of that config's learning curve.
        delay_setting: end of the name of the setting that delays a recorded run's curve, in epochs.
        scores: those that `study.score` can name, the default first, each with its values of the next
            four; empty where there is only one.
        score_column: column of `history.json` with the study's score.
        score_range: the lowest and the highest score there can be.
        direction: which of its scores are better; None: the study says.
        smallest_difference: in that score, the smallest difference that matters to people, above 0; None:
            the objective cannot say.
        train_score_column: column with the same score on the training data.
        score_words: what it is called.
        image_words: what `score_test` and `EpochResult.images` give of each image, if that is not the same.
        rate_column: column with the learning rate.
        older_score_column: column with the metric that older recorded runs have as their score; runs that
            lack it are such older runs themselves.
        older_score_words: what that is called.
        class_score_column: column with a list of scores by class, null where no example has the class.
        class_score_words: what these are, and the scores of `examples`, whatever `study.score` is.
        classes_setting, data_setting: dotted names of the recorded settings with the names of the classes,
            and with where the data came from.
        settings: () -> the dotted names of all settings there are; None: any name may be one.
        defaults: (flat params) -> the values that settings have where those params do not name them, by
            dotted name. It raises SpaceError for params that make no config.
        epochs_setting: dotted name of the setting with the number of epochs; None: there is none.
        all_data: whether `train` heeds `Run.all_data`.
        faster: settings by dotted name, each with a value that may make training faster on a GPU.
        stand_in: what is trained on if no data are given, such as "drawn faces".
        examples: (a run's folder) -> the examples kept there; None if there are none or they are damaged.
        examples_file: where `train` keeps them, for messages.
        example_words: what one example and several are called.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    recorded_aliases: Mapping[str, str] = field(default_factory=dict)
    recorded_names: Mapping[str, str] = field(default_factory=dict)
    recorded_values: Mapping[str, str] = field(default_factory=dict)
    labels: Sequence[str] = ("experiment.name", "experiment.description", "output_dir")
    first: Sequence[str] = ()
    former: Mapping[str, Any] = field(default_factory=dict)
    curve: Callable[[Mapping[str, Any]], CurveShape] = lambda params: CurveShape()
    delay_setting: str | None = None
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    score_column: str = "val_f_score"
    score_range: tuple[float, float] = (-math.inf, math.inf)
    direction: Direction | None = None
    smallest_difference: float | None = None
    train_score_column: str = "train_f_score"
    score_words: str = "val F"
    image_words: str = ""
    rate_column: str = "lr"
    older_score_column: str | None = None
    older_score_words: str = ""
    class_score_column: str | None = None
    class_score_words: str = "score"
    classes_setting: str = "data.classes"
    data_setting: str = "data.root"
    settings: Callable[[], Sequence[str]] | None = None
    defaults: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda params: {}
    epochs_setting: str | None = None
    all_data: bool = False
    faster: Mapping[str, Any] = field(default_factory=dict)
    stand_in: str = ""
    examples: Callable[[Path], Examples | None] | None = None
    examples_file: str = ""
    example_words: tuple[str, str] = ("example", "examples")

    def impossible(self, score: float) -> str | None:
        """Why there can be no such score: `84 is not a score from 0 to 1; ...`; None if there can."""
        low, high = self.score_range
        if low <= score <= high:
            return None
        percent = "; divide percentages by 100" if 1 < score <= 100 and high == 1 else ""
        return f"{score:g} is not a score from {low:g} to {high:g}{percent}"

    @property
    def default_score(self) -> str | None:
        """The name of the score of a study that names none."""
        return next(iter(self.scores), None)

    def scored_by(self, name: str | None) -> "Vocabulary":
        """This vocabulary for a study whose `study.score` is `name`, which may be unknown here."""
        name = name or self.default_score
        if name is None:
            return self
        return replace(self, **self.scores.get(name, {"score_words": name}))
