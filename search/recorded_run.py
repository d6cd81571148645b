"""Recorded runs: a folder with `config.yaml` and `history.json` -> plain values.

One reader for older hand runs and for our own trials, which write the same layout. It needs no study and no
database. What the columns and settings are called is the objective's to say (`Vocabulary`).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from search.document.node import show
from search.document.reading import parse_yaml
from search.errors import UserError
from search.loading import vocabulary_of
from search.objective import NOTHING, Vocabulary
from search.objective.image_scores import IMAGES, read_image_scores
from search.scoring import Direction, epoch_of_best

CONFIG, HISTORY = "config.yaml", "history.json"

OWN = "the study's score"
"""What the score of a run in a study's database is, in words, whatever its objective."""

Column = Sequence[Any]
"""One value per epoch, from epoch 1: a number, None where it was not finite, or a list by class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedRun:
    """One training as it was recorded.

    Attributes:
        name: for people: `trial 17`, the name of a folder.
        leaves: every setting by dotted name, without those that only label the run.
        scores: of each epoch from epoch 1; None if it was not finite.
        metric: what the score is, in words.
        columns: all columns by name, each as long as `scores`.
        images: what each validation image scored in the best epoch, by its name; empty if it was not kept.
        direction: which scores are better.
        folder: where it was read from.
        unfinished: its state (`running`, `pruned`, `failed`) if it did not reach its end.
        vocabulary: of the objective that trained it.
    """

    name: str
    leaves: Mapping[str, Any]
    scores: Sequence[float | None]
    metric: str = "val F"
    columns: Mapping[str, Column] = field(default_factory=lambda: NOTHING)
    images: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    direction: Direction = "maximize"
    folder: Path | None = None
    unfinished: str | None = None
    vocabulary: Vocabulary = field(default_factory=vocabulary_of)

    @property
    def train_scores(self) -> Column:
        return self.columns.get(self.vocabulary.train_score_column, ())

    @property
    def rates(self) -> Column:
        return self.columns.get(self.vocabulary.rate_column, ())

    @property
    def older_scores(self) -> Column:
        """Scores by the metric of older recorded runs, where this run recorded them beside its own."""
        return self.columns.get(self.vocabulary.older_score_column or "", ())

    @property
    def class_scores(self) -> Column:
        """A list of scores by class per epoch."""
        return self.columns.get(self.vocabulary.class_score_column or "", ())

    @property
    def finite(self) -> dict[int, float]:
        """The finite scores by epoch."""
        return {epoch: score for epoch, score in enumerate(self.scores, 1) if score is not None}

    @property
    def best_epoch(self) -> int:
        """The first epoch with the best score."""
        return epoch_of_best(self.finite, self.direction)


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; False for what cannot even be a path."""
    try:
        return path.is_dir()
    except OSError:  # the name is too long, or access is denied
        return False


def read_run(folder: Path, name: str | None = None, vocabulary: Vocabulary | None = None) -> RecordedRun:
    """The run recorded in `folder`.

    Args:
        vocabulary: of the objective that trained it; by default the stock one's.

    Raises:
        UserError: a file is missing, truncated or wrong, or its columns have unequal lengths; names the
            file, in one line.
    """
    vocabulary = vocabulary or vocabulary_of()
    if not is_folder(folder):
        raise UserError(f"{str(folder)[:200]}: no such folder; a recorded run has {CONFIG} and {HISTORY}")
    leaves = read_leaves(folder / CONFIG)
    columns = read_columns(folder / HISTORY, vocabulary.score_column)
    run = RecordedRun(
        name=name or folder.resolve().name,
        leaves=without_labels(leaves, vocabulary),
        scores=columns[vocabulary.score_column],
        metric=metric_of(columns, vocabulary),
        columns=columns,
        folder=folder,
        vocabulary=vocabulary,
    )
    return replace(run, images=_images_of(run, folder))


def _images_of(run: RecordedRun, folder: Path) -> Mapping[str, float]:
    """The scores by image in a run's folder, where they are those of its best epoch."""
    path = folder / IMAGES
    kept = read_image_scores(path.read_bytes()) if path.is_file() else None
    is_best = kept is not None and (kept.epoch, kept.score) == (run.best_epoch, run.finite[run.best_epoch])
    return kept.images if kept and is_best else NOTHING


def metric_of(columns: Mapping[str, Any], vocabulary: Vocabulary) -> str:
    """What the score is, in words: a run without the older metric's column is an older run itself."""
    older = vocabulary.older_score_column
    is_older = older is not None and older not in columns
    return vocabulary.older_score_words if is_older else vocabulary.score_words


def without_labels(leaves: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """The settings that change something in a run, not only what it is called or where it is."""
    return {leaf: value for leaf, value in leaves.items() if leaf not in vocabulary.labels}


def read_leaves(path: Path) -> dict[str, Any]:
    """Every setting of a `config.yaml` by dotted name; `8e-4` is a number."""
    root = parse_yaml(read_text(path), lambda mark: f"{path}:{mark.line + 1}:{mark.column + 1}").plain()
    if not isinstance(root, dict) or not root:
        problem = "is empty" if not root else f"holds {show(root)}, not sections"
        raise UserError(f"{path}: {problem}; give the {CONFIG} that the run wrote")
    try:
        return flat(root)
    except ValueError as error:
        raise UserError(f"{path}: {error}; keep one") from error


def flat(sections: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """`{"loss": {"dice_weight": 1.5}}` -> `{"loss.dice_weight": 1.5}`; a list is one value.

    Raises ValueError for a name that is given with dots and nested.
    """
    leaves: dict[str, Any] = {}
    for name, value in sections.items():
        inside = flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
        for leaf in inside.keys() & leaves.keys():
            raise ValueError(f"{leaf!r} is given twice")
        leaves.update(inside)
    return leaves


def read_columns(path: Path, score: str) -> dict[str, Column]:
    """The lists of a `history.json` by name, all equally long; that of `score` has one score or more."""
    try:
        # The only constants are NaN and infinities, which a diverged loss is recorded as.
        text = read_text(path)
        columns = json.loads(text, parse_constant=lambda _: None, object_pairs_hook=_named_once)
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise UserError(f"{where}: not JSON, or cut off: {error.msg}; copy the whole file") from error
    except (RecursionError, ValueError) as error:
        raise UserError(f"{path}: not a history: {error}; copy it again") from error
    if not isinstance(columns, dict):
        raise UserError(f"{path}: holds {show(columns)}, not lists by name; it needs at least {score}")
    if score not in columns:
        names = ", ".join(columns) or "nothing"
        raise UserError(f"{path}: has no {score}, only {show(names)}; without scores there is no curve")
    for name, column in columns.items():
        _check(path, name, column, may_be_lists=name != score)
    lengths = {name: len(column) for name, column in columns.items()}
    epochs = lengths[score]
    for name, length in lengths.items():
        if length != epochs:
            raise UserError(
                f"{path}: {name} has {length} epochs and {score} has {epochs}; "
                "each list needs one value per epoch"
            )
    if not any(value is not None for value in columns[score]):
        raise UserError(f"{path}: {score} holds no score; a run needs one epoch or more")
    if columns.get("epoch") not in (None, [*range(epochs)], [*range(1, epochs + 1)]):
        raise UserError(
            f"{path}: epoch is {show(columns['epoch'])}; each epoch needs a value, null if none"
        )
    return columns


def _named_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError for a name that is given twice."""
    for index, (name, _) in enumerate(pairs):
        if any(name == other for other, _ in pairs[:index]):
            raise ValueError(f"{name!r} is given twice")
    return dict(pairs)


def _check(path: Path, name: str, column: Any, *, may_be_lists: bool) -> None:
    if not isinstance(column, list):
        raise UserError(f"{path}: {name} is {show(column)}, not a list by epoch")
    for epoch, value in enumerate(column, 1):
        for number in value if isinstance(value, list) and may_be_lists else [value]:
            if number is None or (isinstance(number, int | float) and not isinstance(number, bool)):
                if isinstance(number, int) and abs(number) > 1e15:
                    raise UserError(
                        f"{path}: {name} at epoch {epoch} is no measurement: it has too many digits"
                    )
                if not isinstance(number, float) or math.isfinite(number):
                    continue
            raise UserError(f"{path}: {name} at epoch {epoch} is {show(number)}, not a number")


def read_text(path: Path) -> str:
    """The text of the file `path`; UserError if it is missing or not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; a recorded run is a folder with {CONFIG} and {HISTORY}"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
