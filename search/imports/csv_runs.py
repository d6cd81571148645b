"""CSV -> recorded runs: either a file is one run with a row per epoch, or each row is a run.

**A row per epoch.** A column `epoch` (1, 2, ...), the score under the name of the objective's score column,
or as `score` if it is the study's own metric, and any further numbers by epoch under the names of a
history.json. The run gets the file's name. Its settings may be beside it, as YAML under the same name:
`night.csv` and `night.yaml`.

TensorBoard's and Weights & Biases' exports are such files, too: see `search.imports.exports`.

**A row per run.** A column `name`, the score, and `best_epoch`, `epochs` and `metric` if known. Every other
column is a setting by its dotted name; an empty cell means that the run does not have it. Such a run has no
curve: it is listed, but cannot be compared.
"""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.document.node import show
from search.document.reading import parse_yaml
from search.errors import SpaceError, UserError
from search.imports.exports import EPOCH, as_epoch, by_epoch, is_export
from search.objective import Vocabulary
from search.recorded_run import OWN, Column, RecordedRun, metric_of, read_leaves, read_text, without_labels

NAME, OWN_SCORE = "name", "score"
FACTS = (NAME, OWN_SCORE, "metric", "best_epoch", "epochs")
"""Columns that are no settings if each row is a run."""

CsvRow = Mapping[str, str]
"""Column -> cell, without the blanks around it."""

Lines = Sequence[tuple[int, CsvRow]]
"""Each row below the names of the columns, with its line in the file."""


@dataclass(frozen=True, slots=True)
class GivenScore:
    """What a row says about a run that has no curve."""

    score: float
    best_epoch: int | None
    epochs: int | None


@dataclass(frozen=True, slots=True)
class ReadRun:
    """A run that can be imported; `given` if it has no curve."""

    run: RecordedRun
    source: Path
    given: GivenScore | None = None


def read_csv(path: Path, vocabulary: Vocabulary) -> list[ReadRun]:
    """The runs in a CSV file.

    Args:
        vocabulary: of the objective that trained them.

    Raises:
        UserError: the file has neither form, or a cell is wrong; the message names the line.
    """
    header, rows = _table(path)
    if is_export(header):
        return [
            ReadRun(
                _by_epoch(path, _score(path, columns, vocabulary), columns, its, vocabulary, name), path
            )
            for name, columns, its in by_epoch(header, rows, vocabulary.score_column)
        ]
    score = _score(path, header, vocabulary)
    if EPOCH in header:
        if NAME in header:
            raise UserError(f"{path}: has a column {EPOCH} and a column {NAME}; give each run its own file")
        return [ReadRun(_by_epoch(path, score, header, rows, vocabulary), path)]
    if NAME not in header:
        raise UserError(
            f"{path}: has no column {EPOCH} (a row per epoch) and no column {NAME} (a row per run), only "
            f"{_listed(header)}"
        )
    return [_of_row(f"{path}:{line}", path, score, row, vocabulary) for line, row in rows]


def _table(path: Path) -> tuple[list[str], Lines]:
    """The names of the columns, and the rows."""
    lines = csv.reader(read_text(path).splitlines(keepends=True), strict=True)
    try:
        cells = [(lines.line_num, [cell.strip() for cell in line]) for line in lines]
    except csv.Error as error:
        raise UserError(f"{path}:{lines.line_num}: not CSV: {error}") from error
    cells = [(line, row) for line, row in cells if any(row)]
    if not cells:
        raise UserError(f"{path}: is empty; the first line names the columns")
    (_, header), *rows = cells
    for index, name in enumerate(header):
        if not (name or index):
            continue  # the numbers of rows, as pandas writes them
        if not name or header.count(name) > 1:
            wrong = f"two columns are called {show(name)}; keep one" if name else "a column has no name"
            raise UserError(f"{path}:1: {wrong}")
    if len(header) == 1 and any(other in header[0] for other in ";\t"):
        raise UserError(f"{path}:1: {show(header[0])} is one column; separate columns by commas")
    if not rows:
        raise UserError(f"{path}: has no row below the names of its columns")
    for line, row in rows:
        if len(row) != len(header):
            raise UserError(f"{path}:{line}: has {len(row)} cells, and there are {len(header)} columns")
    return header, [(line, dict(zip(header, row, strict=True))) for line, row in rows]


def _score(path: Path, header: Sequence[str], vocabulary: Vocabulary) -> str:
    """The column that holds the score."""
    recorded = vocabulary.score_column
    columns = [name for name in dict.fromkeys((recorded, OWN_SCORE)) if name in header]
    if len(columns) != 1:
        problem = "has both" if columns else f"has no {recorded} and no {OWN_SCORE}, only {_listed(header)}"
        raise UserError(
            f"{path}: {problem}; {recorded} is the hand runs' metric, {OWN_SCORE} the study's: keep one "
            "column"
        )
    return columns[0]


def _by_epoch(
    path: Path,
    score: str,
    header: Sequence[str],
    rows: Sequence[tuple[int, CsvRow]],
    vocabulary: Vocabulary,
    name: str | None = None,
) -> RecordedRun:
    for expected, (line, row) in enumerate(rows, 1):
        if as_epoch(row[EPOCH]) != str(expected):
            raise UserError(
                f"{path}:{line}: {EPOCH} is {show(row[EPOCH])} where {expected} is due; each epoch from 1 "
                "needs a row, with empty cells where nothing was measured"
            )
    columns: dict[str, Column] = {
        column: [_number(f"{path}:{line}: {column}", row[column]) for line, row in rows]
        for column in header
        if column and column != EPOCH
    }
    for (line, _), value in zip(rows, columns[score], strict=True):
        check_range(f"{path}:{line}: {score}", value, vocabulary)
    if all(value is None for value in columns[score]):
        raise UserError(f"{path}: {score} holds no score; a run needs one epoch or more")
    beside = path.with_suffix(".yaml")
    return RecordedRun(
        name=name or path.stem,
        leaves=without_labels(read_leaves(beside), vocabulary) if beside.exists() else {},
        scores=columns[score],
        metric=_metric(score, columns, vocabulary),
        columns=columns,
        vocabulary=vocabulary,
    )


def _of_row(place: str, path: Path, score: str, row: CsvRow, vocabulary: Vocabulary) -> ReadRun:
    value = _number(f"{place}: {score}", row[score])
    if value is None:
        raise UserError(f"{place}: {score} is {show(row[score])}, not a finite number; remove the row")
    check_range(f"{place}: {score}", value, vocabulary)
    leaves = {
        name: _setting(f"{place}: {name}", cell)
        for name, cell in row.items()
        if cell and name not in (score, *FACTS)
    }
    run = RecordedRun(
        name=row[NAME],
        leaves=without_labels(leaves, vocabulary),
        scores=(),
        metric=row.get("metric") or _metric(score, {}, vocabulary),
        vocabulary=vocabulary,
    )
    best_epoch, epochs = (
        _count(f"{place}: {name}", row.get(name, "")) for name in ("best_epoch", "epochs")
    )
    if best_epoch is not None and epochs is not None and best_epoch > epochs:
        raise UserError(f"{place}: best_epoch {best_epoch} is after the last of {epochs} epochs")
    return ReadRun(run, path, GivenScore(value, best_epoch, epochs))


def _metric(score: str, columns: Mapping[str, Any], vocabulary: Vocabulary) -> str:
    return OWN if score == OWN_SCORE else metric_of(columns, vocabulary)


def _number(place: str, cell: str) -> float | None:
    """None for an empty cell, and for a number that is not finite."""
    if not cell:
        return None
    try:
        number = float(cell)
    except ValueError as error:
        raise UserError(f"{place} is {show(cell)}, not a number") from error
    return number if math.isfinite(number) else None


def check_range(place: str, score: float | None, vocabulary: Vocabulary) -> None:
    """Raises UserError, which begins with `place`, where the metric cannot be `score`."""
    if score is not None and (problem := vocabulary.impossible(score)):
        raise UserError(f"{place}: {problem}")


def _count(place: str, cell: str) -> int | None:
    if not cell:
        return None
    count = as_epoch(cell)
    if not re.fullmatch("[1-9][0-9]{0,8}", count):
        raise UserError(f"{place} is {show(cell)}, not a number of epochs")
    return int(count)


def _setting(place: str, cell: str) -> Any:
    """A cell as space.yaml would read it; text if it is not YAML."""
    try:
        value = parse_yaml(cell, lambda _: place).plain()
    except SpaceError:
        return cell
    return cell if isinstance(value, dict) else value


def _listed(header: Sequence[str]) -> str:
    return show(", ".join(header))
