"""What a tracker gets of a trial, as plain values, and what it has to be able to do."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from search.errors import UserError
from search.objective import PICTURE, WEIGHTS, Vocabulary
from search.recorded_run import CONFIG, HISTORY, read_columns, read_leaves
from search.records import Record, State
from search.study.folder import folder_of, trial_name
from search.study.study import Study

KEPT = (CONFIG, HISTORY, WEIGHTS, "log.txt")
"""Files of a trial's folder that a tracker gets as links."""
SCORE = "score"


@dataclass(frozen=True, kw_only=True)
class MirroredTrial:
    """One trial as trackers show it.

    Attributes:
        name: `trial-0017`. key: names it among all studies of all databases.
        params: what was sampled, and the seed.
        series: values by epoch, by name: `SCORE`, which is raw, and what the trial's `history.json` has
            beside it, such as losses, learning rate, images per second and the scores by class.
        results: value, best score and its epoch, and the like; final once it has ended.
        ended: its state, once it has.
        notes: what else is known of it, as text by name: its known config, why it ended, links to files.
        figure: its overlay, where it is on this machine.
    """

    name: str
    key: str
    params: Mapping[str, Any]
    series: Mapping[str, Mapping[int, float]]
    results: Mapping[str, float]
    ended: State | None
    notes: Mapping[str, str]
    figure: Path | None

    @property
    def last(self) -> int:
        """Its last epoch with a score; 0 before the first."""
        return max(self.series[SCORE], default=0)


class Mirror(Protocol):
    """A study in a tracker.

    It asks the tracker what is there, and adds what is missing. So it may be killed at any time, and run
    again, but not twice at the same time for one study and place.
    """

    def add(self, trial: MirroredTrial) -> int:
        """Adds what the tracker lacks of a trial; returns the number of scores that were new."""


def mirrored(study: Study, runs: Path, records: list[Record]) -> Iterator[MirroredTrial]:
    """The trials by number.

    Args:
        runs: where this machine has the folders of trials, if it has them.
    """
    vocabulary = study.spec.vocabulary
    for record in records:
        folder = (folder_of(study, runs) / trial_name(record.number)).absolute()
        files = [folder / name for name in KEPT if (folder / name).is_file()]
        results = {"value": record.value, "best_score": record.best_score, "best_epoch": record.best_epoch}
        texts = {
            "study": study.name,
            "state": record.state,
            "known": record.known,
            "reason": record.reason and record.reason.text,
            **{path.name: path.as_uri() for path in files},
        }
        yield MirroredTrial(
            name=trial_name(record.number),
            key=f"{study.token.hex}-{record.number}",
            params={**record.params, "seed": record.seed},
            series={SCORE: _by_epoch(record.curve), **_recorded(folder, vocabulary)},
            results={name: float(value) for name, value in results.items() if value is not None},
            ended=None if record.state == "running" else record.state,
            notes={name: text for name, text in texts.items() if text},
            figure=folder / PICTURE if (folder / PICTURE).is_file() else None,
        )


def _recorded(folder: Path, vocabulary: Vocabulary) -> dict[str, dict[int, float]]:
    """The columns of a trial's `history.json`, but for the score; none where it is not here, or damaged.

    A column with a list for each epoch is one for each class: `val_f_per_class/skin`.
    """
    try:
        columns = dict(read_columns(folder / HISTORY, vocabulary.score_column))
        classes = read_leaves(folder / CONFIG).get(vocabulary.classes_setting)
    except UserError:
        return {}
    columns.pop(vocabulary.score_column)
    by_class = columns.pop(vocabulary.class_score_column or "", ())
    if isinstance(classes, list):
        for index, name in enumerate(classes):
            values = [scores[index] if index < len(scores) else None for scores in by_class]
            allowed = re.sub(r"[^\w .-]", "_", str(name))  # MLflow takes no other characters
            columns[f"{vocabulary.class_score_column}/{allowed}"] = values
    return {name: _by_epoch(column) for name, column in columns.items()}


def _by_epoch(column: Sequence[Any]) -> dict[int, float]:
    """The numbers of a column by epoch, from epoch 1."""
    return {epoch: value for epoch, value in enumerate(column, 1) if isinstance(value, int | float)}
