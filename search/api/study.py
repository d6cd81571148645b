"""A study that is open for reading."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.api.places import PathLike, own_errors, runs_folder
from search.errors import SearchError, UserError, unknown_name
from search.records import Record, Snapshot
from search.study.read import read_record, read_records, read_snapshot
from search.study.resolve import resolve_study, storage_url
from search.study.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from search.analysis.comparison import Comparison
    from search.objective.results import MaskPredictor
    from search.report.writer import WrittenReport
    from search.results.masks import PredictedImage


@own_errors()
def open_study(name: str, storage: str | None = None, *, runs: PathLike | None = None) -> "OpenStudy":
    """Opens a study to read it; where only its quick profile's exists, that one.

    Args:
        name: of the study.
        storage: sqlite:///FILE or postgresql://USER@HOST/NAME; by default SEARCH_STORAGE, or a SQLite file
            in `runs`.
        runs: the folder with what trials wrote; by default SEARCH_RUNS, or `runs`.

    Raises:
        StudyError: there is no such study; the message names those that there are.
    """
    folder = runs_folder(runs)
    return OpenStudy(resolve_study(storage_url(storage, folder), name, read_only=True), folder)


class OpenStudy(AbstractContextManager["OpenStudy"]):
    """A study and what can be asked about it; every call reads the database as it is then.

    `close`, or the end of a `with` block, closes the connections.
    """

    def __init__(self, study: Study, runs: Path) -> None:
        self._study = study
        self._runs = runs

    @property
    def name(self) -> str:
        """Its name, which may end with `-quick` where that was not asked for."""
        return self._study.name

    @own_errors()
    def snapshot(self) -> Snapshot:
        """The study now: budget, best trial, workers, and the running trials with their curves."""
        return read_snapshot(self._study)

    @own_errors()
    def trials(self) -> list[Record]:
        """All trials by number, with their curves."""
        return read_records(self._study)

    @own_errors()
    def trial(self, number: int) -> Record:
        """One trial with its curve; UserError if there is none of that number."""
        return read_record(self._study, number, "trial")

    @property
    def best(self) -> Record:
        """The complete trial with the best value.

        Raises:
            SearchError: no trial is complete. UserError: the study retrains configs, so none is its best.
        """
        from search.results.winner import best_of

        return self.trial(best_of(self._study, self.snapshot()).number)

    def trials_frame(self) -> "DataFrame":
        """A row for each trial: what a Record has, but its curve, and `params.NAME` for each parameter.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise _missing("trials_frame", "pandas") from error
        rows = []
        for record in self.trials():
            row = record.to_json()
            params, _ = row.pop("params"), row.pop("curve")
            for word in ("reason", "control"):
                row[word] = row[word] and row[word]["text"]
            rows.append({**row, **{f"params.{name}": value for name, value in params.items()}})
        return pd.DataFrame(rows)

    @own_errors()
    def compare(
        self, a: int | PathLike, b: int | PathLike = "best", *, claims: Sequence[str] = ()
    ) -> "Comparison":
        """What differs between two runs, and whether their noise explains it.

        Args:
            a, b: a trial's number, a known config, `best`, an imported run, or a run's folder.
            claims: changes to look for in what was recorded: `LR 4e-4 -> 8e-4`.

        Raises:
            UserError: there is no such run, or it has no score yet.
        """
        from search.analysis.claims import parse_claim
        from search.analysis.comparison import compare
        from search.imports.lookup import read_sides

        sides = read_sides(str(a), str(b), self._runs, lambda: self._study)
        return compare(sides.a, sides.b, [parse_claim(text) for text in claims], sides.ends)

    @own_errors()
    def report(
        self, *, against: str | int | None = None, folder: PathLike | None = None
    ) -> "WrittenReport":
        """Writes what the study found: a page as Markdown and as HTML, with its figures.

        Args:
            against: the baseline, a known config's name or a trial's number; by default the first known
                config.
            folder: by default `report` in the study's folder.

        Raises:
            SearchError: no trial is complete. UserError: `against` is no trial with a score.
        """
        from search.report.collect import collect_report_data
        from search.report.writer import write_report
        from search.study.folder import folder_of

        data = collect_report_data(self._study, self._runs, None if against is None else str(against))
        return write_report(data, Path(folder) if folder else folder_of(self._study, self._runs) / "report")

    @own_errors()
    def predictor(
        self,
        trial: int | None = None,
        *,
        device: str | None = None,
        flip: bool = False,
        artifacts: str | None = None,
    ) -> "MaskPredictor":
        """A trial's model, loaded: `predictor.predict(image, mask)` writes the mask of an image.

        Args:
            trial: by default the best, or the one that a confirmation settled on.
            device, flip: as `search.load_predictor`.
            artifacts: a store with the weights that are not on this machine.

        Raises:
            UserError: there is no such trial, or it has no weights.
        """
        from search.api.predictor import loaded
        from search.results.weights import trial_weights

        with trial_weights(self._study, trial, self._runs, artifacts) as weights:
            return loaded(weights, device, flip)

    @own_errors()
    def predict(
        self,
        images: PathLike,
        out: PathLike,
        trial: int | None = None,
        *,
        overlay: bool = False,
        device: str | None = None,
        flip: bool = False,
        artifacts: str | None = None,
    ) -> "list[PredictedImage]":
        """Writes a mask for every image of a folder, at its own size, as `search predict` does.

        Goes on where it stopped: masks that are in `out` are kept. An image that cannot be read is in the
        answer with its `fault`.

        Args:
            overlay: draw each mask over its image, too.
            trial, device, flip, artifacts: as `predictor`.

        Raises:
            UserError: `images` has none, or `out` holds something else.
        """
        from search.results.masks import claim_masks, images_in, predict_images

        predictor = self.predictor(trial, device=device, flip=flip, artifacts=artifacts)
        found, folder = images_in(Path(images), predictor.suffixes), Path(out)
        claim_masks(folder, predictor, flip, f"study {self.name}")
        return list(predict_images(predictor, found, folder, overlay=overlay))

    def history_figure(self) -> "Figure":
        """The value of every trial in the order of the search, drawn by matplotlib as in the report."""
        from search.report import figures

        now = self.snapshot()
        return figures.search(None, self.trials(), now.direction, now.target)

    @own_errors()
    def trial_figure(self, number: int) -> "Figure":
        """One training: score, loss, learning rate and gap by epoch, drawn by matplotlib.

        Raises:
            UserError: there is no such trial, or it has no score yet.
        """
        from search.report.collect import read_trial
        from search.report.curve_figures import four_panels

        record = self.trial(number)
        if record.value is None:
            raise UserError(f"trial_figure: trial {number} ({record.state}) has no score yet")
        run = read_trial(self._study, record, self._runs).run
        return four_panels(None, run, self._study.spec.study.smooth)

    def importance_figure(self) -> "Figure":
        """How much each parameter matters, with intervals and the level of chance, drawn by matplotlib.

        Raises:
            SearchError: too few trials are complete to tell.
        """
        from search.analysis.importance import importance_of
        from search.report import figures

        records, settings = self.trials(), self._study.spec.study
        found = importance_of(records, self._study.spec.space.parameters, settings.direction)
        if found is None:
            raise SearchError(f"importance_figure: study {self.name!r} has too few complete trials to tell")
        return figures.importance(None, found)

    @own_errors()
    def plotly_figure(self, kind: str = "optimization_history", **options: Any) -> Any:
        """A figure of Optuna's, by Plotly: the function `plot_KIND` of `optuna.visualization`.

        Args:
            kind: such as `parallel_coordinate`, `slice`, `contour`, `intermediate_values`.
            options: of that function.

        Raises:
            UserError: there is no such figure, or Plotly is not installed.
        """
        from optuna import visualization

        if not visualization.is_available():
            raise _missing("plotly_figure", "plotly")
        kinds = [name.removeprefix("plot_") for name in dir(visualization) if name.startswith("plot_")]
        if kind not in kinds:
            raise UserError(unknown_name("plotly_figure", kind, kinds))
        return getattr(visualization, f"plot_{kind}")(self._study.optuna, **options)

    def close(self) -> None:
        """Closes the connections to the database."""
        self._study.engine.dispose()

    def __exit__(self, *error: object) -> None:
        self.close()


def _missing(what: str, package: str) -> UserError:
    return UserError(
        f"{what}: needs {package}, which is not installed: pip install 'mseg-search[notebook]'"
    )
