"""Runs that were not trained here: read from folders and CSV, kept beside a study's trials, read back.

They never enter Optuna's study, its sampler, its median or "best": they were trained under another
protocol, and a row without one of the parameters would remove it from those that the sampler draws jointly.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from search.document.node import show
from search.errors import UserError, printable
from search.imports.csv_runs import GivenScore, ReadRun, check_range, read_csv
from search.loading import vocabulary_of
from search.objective import Vocabulary
from search.recorded_run import CONFIG, HISTORY, OWN, RecordedRun, is_folder, read_run
from search.records import ImportedRun, finite
from search.scoring import Direction, best_mean
from search.spec.known import BEST, same_name
from storage import imports

if TYPE_CHECKING:
    from search.study.study import Study

LONGEST = 120  # characters of a name


def read_paths(
    paths: Sequence[Path], name: str | None = None, vocabulary: Vocabulary | None = None
) -> list[ReadRun]:
    """The runs at `paths`, each a folder in the recorded layout or a CSV file; no database is touched.

    Args:
        name: what to call the run, if there is only one.
        vocabulary: of the objective that trained them; by default the stock one's.

    Raises:
        UserError: one of them is no run.
    """
    vocabulary = vocabulary or vocabulary_of()
    read = [run for path in paths for run in _read(path, vocabulary)]
    if name is not None:
        if len(read) != 1:
            raise UserError(f"--name {show(name)}: names a single run, and there are {len(read)} runs here")
        read = [replace(read[0], run=replace(read[0].run, name=name))]
    names = Counter(normalize("NFC", each.run.name) for each in read)
    for each in read:
        title = each.run.name
        if not title.strip() or not title.isprintable() or len(title) > LONGEST or "/" in title:
            raise UserError(
                f"{each.source}: {show(title)} is no name for a run; use up to {LONGEST} printable "
                "characters without a /, or give one with --name"
            )
        if title.isdigit() or same_name(title, BEST):
            raise UserError(
                f"{each.source}: {title!r} is what a trial is called; give another name with --name"
            )
        if (count := names[normalize("NFC", title)]) > 1:
            raise UserError(f"{each.source}: {count} runs are called {title!r}; rename them")
    return read


def store(study: "Study", read: Sequence[ReadRun], *, update: bool) -> list[ImportedRun]:
    """Stores the runs beside the trials of `study`, all or none; `update` replaces existing ones.

    Raises:
        UserError: a name is taken, or higher scores are better in a run and lower ones in the study.
    """
    runs = [_listed(study, each) for each in read]
    rows = [
        {**asdict(run), "document": _document(each.run, study.spec.study.direction)}
        for run, each in zip(runs, read, strict=True)
    ]
    taken = imports.put(study.engine, study.id, rows, replace=update)
    if taken:
        raise UserError(
            f"import: study {study.name!r} already has a run {taken[0]!r}; --update replaces it, or give "
            "another name with --name"
        )
    return runs


def remove(study: "Study", names: Sequence[str]) -> None:
    """Removes the imported runs called `names` from the study, all or none; their files stay.

    Raises:
        UserError: there is no such run.
    """
    missing = imports.remove(study.engine, study.id, names)
    if missing:
        imported = ", ".join(repr(run.name) for run in read_imported(study)) or "none"
        raise UserError(
            f"--remove: study {study.name!r} has no imported run {show(missing[0])} (imported: {imported})"
        )


def read_imported(study: "Study") -> list[ImportedRun]:
    """The imported runs of a study by name, as a list shows them."""
    return [ImportedRun(**row._mapping) for row in imports.listed(study.engine, study.id)]


def read_imported_run(study: "Study", name: str) -> RecordedRun | None:
    """The imported run called `name` with its settings and its curve; None if there is none.

    A run that was imported as a row has no scores.
    """
    document = imports.find(study.engine, study.id, name)
    if document is None:
        return None
    return RecordedRun(name=f"{name} (imported)", **document, vocabulary=study.spec.vocabulary)


def _read(path: Path, vocabulary: Vocabulary) -> list[ReadRun]:
    if is_folder(path):
        run = read_run(path, vocabulary=vocabulary)
        for epoch, score in enumerate(run.scores, 1):
            check_range(f"{path / HISTORY}: {vocabulary.score_column} at epoch {epoch}", score, vocabulary)
        return [ReadRun(run, path)]
    if not path.exists():
        raise UserError(f"{str(path)[:200]}: no such folder or file; give a run's folder or a CSV file")
    if path.suffix.lower() != ".csv":
        raise UserError(f"{path}: is no CSV file and no folder with {CONFIG} and {HISTORY}")
    return read_csv(path, vocabulary)


def _listed(study: "Study", each: ReadRun) -> ImportedRun:
    """The run as a list shows it; UserError if it does not fit beside this study's trials."""
    settings = study.spec.study
    if each.run.metric != OWN and settings.direction == "minimize":
        raise UserError(
            f"{each.source}: is scored by {each.run.metric}, where higher is better, and study "
            f"{study.name!r} minimizes; in a CSV, a column score holds the study's own metric"
        )
    if any(same_name(each.run.name, known.name) for known in study.spec.known):
        raise UserError(
            f"{each.source}: {each.run.name!r} is a known config of study {study.name!r}; give another "
            "name with --name"
        )
    run = replace(each.run, direction=settings.direction)
    given = each.given or GivenScore(run.finite[run.best_epoch], run.best_epoch, len(run.scores))
    return ImportedRun(
        name=run.name,
        source=printable(str(each.source.absolute())),
        metric=run.metric,
        value=best_mean(list(run.finite.values()), settings.smooth, settings.direction),
        best_score=given.score,
        best_epoch=given.best_epoch,
        epochs=given.epochs,
    )


def _document(run: RecordedRun, direction: Direction) -> dict[str, Any]:
    """What is stored of a run beside what a list shows."""
    kept = ("leaves", "scores", "metric", "columns")
    return finite({**{name: getattr(run, name) for name in kept}, "direction": direction})
