"""What `search train` and `search replay` train: the settings of a trial, or those in a file.

A file is a `config.yaml` as trainings of this program or older hand runs left it, or settings by their own
names, flat or nested. A recorded run's names are mapped as known configs are (`search/imports`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.analysis.noise import level
from search.errors import StudyError, UserError, none_complete
from search.imports.known_config import leaf_of
from search.loading import STOCK, vocabulary_of
from search.objective import Vocabulary
from search.recorded_run import RecordedRun, read_leaves, without_labels
from search.records import Record
from search.scoring import Direction, sign_of
from search.study.read import read_record, read_snapshot, trained_params
from search.study.study import Study

SEED = "provenance.seed"
WINDOW = 5  # epochs of the means that say how noisy a curve is


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """One config, and how it is trained.

    Attributes:
        source: where its settings come from, in words.
        objective: the name of the module that trains it.
        params: every setting that was given, by dotted name.
        seed: the seed it was trained with; None where none was recorded.
        smooth: how many validations are averaged into its score. direction: which scores are better.
        score: which of the objective's scores; None: its default.
        left_out: what the source says that could not be mapped, in a sentence; empty if nothing.
        last: the epoch after which training ends, whatever its horizon; None: as its settings say.
        rests_on: how much `last` rests on, in a sentence.
        all_data: whether it trains on the validation examples, too.
    """

    source: str
    objective: str
    params: Mapping[str, Any]
    seed: int | None
    smooth: int = 5
    direction: Direction = "maximize"
    score: str | None = None
    left_out: str = ""
    last: int | None = None
    rests_on: str = ""
    all_data: bool = False

    def seeds(self, count: int | None) -> list[int]:
        """`count` seeds from 0 that it was not trained with; None: the one it was trained with, or 0."""
        if count is None:
            return [self.seed or 0]
        return [seed for seed in range(count + 1) if seed != self.seed][:count]

    @property
    def vocabulary(self) -> Vocabulary:
        return vocabulary_of(self.objective, self.score)

    def over(self, epochs: int) -> "TrainingRequest":
        """The same over another number of epochs; the schedule keeps its shape.

        Raises:
            UserError: the objective names no setting for it.
        """
        name = self.vocabulary.epochs_setting
        if name is None:
            raise UserError(f"--epochs: objective {self.objective!r} does not name its setting of epochs")
        return replace(self, params={**self.params, name: epochs}, last=None, rests_on="")

    def on_all_data(self) -> "TrainingRequest":
        """The same on training and validation data together.

        Raises:
            UserError: the objective cannot.
        """
        if not self.vocabulary.all_data:
            raise UserError(
                f"--all-data: objective {self.objective!r} cannot train on its validation data: its "
                "vocabulary does not say all_data; see search/objective/__init__.py"
            )
        return replace(self, all_data=True)


def request_of_trial(study: Study, number: int | None) -> tuple[TrainingRequest, Record]:
    """What trial `number` trained, and its record; by default the best trial.

    Raises:
        UserError: there is no such trial. SearchError: no trial is complete.
    """
    if number is None:
        best = read_snapshot(study).best
        if best is None:
            raise none_complete(study.name)
        number = best.number
    record = read_record(study, number, "--trial")
    if not record.params and study.spec.space.parameters:
        raise StudyError(f"--trial: trial {number} of study {study.name!r} has no parameters yet")
    settings = study.spec.study
    request = TrainingRequest(
        source=f"{record.title} of study {study.name}",
        objective=study.spec.objective,
        params=trained_params(study, record),
        seed=settings.sampler.seed if record.seed is None else record.seed,
        smooth=settings.smooth,
        direction=settings.direction,
        score=settings.score,
    )
    return request, record


def until_best_epoch(request: TrainingRequest, record: Record) -> TrainingRequest:
    """The same until the epoch that was the trial's best, under the schedule of its whole horizon.

    Raises:
        UserError: the trial has no score.
    """
    if record.best_epoch is None:
        raise UserError(f"--trial: trial {record.number} has no score, so no best epoch; give --epochs")
    return replace(request, last=record.best_epoch, rests_on=doubt(record, request.direction))


def doubt(record: Record, direction: Direction) -> str:
    """How much a trial's best epoch may be a matter of luck, in a sentence or two."""
    text = f"epoch {record.best_epoch} was the best of {record.epochs} in one run with one seed"
    known = level(record.scores, min(WINDOW, max(1, len(record.scores) // 4)), direction)
    if known is None or record.best_score is None:
        return f"{text}, too short to know its noise."
    sign = sign_of(direction)
    close = [
        epoch
        for epoch, score in enumerate(record.curve, 1)
        if score is not None and sign * (record.best_score - score) <= 2 * known.noise
    ]
    return (
        f"{text}; {len(close)} epochs, from {close[0]} to {close[-1]}, scored within twice the noise of an "
        f"epoch ({known.noise:.4f}) of it."
    )


def request_of_file(path: Path) -> TrainingRequest:
    """What the settings in a file say.

    Raises:
        UserError: the file cannot be read, or it is the document of a search.
    """
    leaves = read_leaves(path)
    objective = str(leaves.pop("objective", STOCK))
    if any(name.startswith("space.") for name in leaves):
        raise UserError(
            f"{path}: is the document of a search, not one config; name a trial with --study and --trial, "
            "or give a config.yaml"
        )
    vocabulary = vocabulary_of(objective)
    seed = leaves.get(SEED)
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
        raise UserError(f"{path}: {SEED} is {seed!r}, not a seed; write a whole number from 0")
    params, left_out = _mapped(without_labels(leaves, vocabulary), vocabulary)
    if not params:
        raise UserError(f"{path}: has no setting of {objective}; give a config.yaml that a training left")
    return TrainingRequest(
        source=str(path),
        objective=objective,
        params=params,
        seed=seed,
        left_out=f"no setting here is called {', '.join(left_out)}" if left_out else "",
    )


def _mapped(leaves: Mapping[str, Any], vocabulary: Vocabulary) -> tuple[dict[str, Any], Sequence[str]]:
    """Settings by the objective's names, and the names of those it has none for."""
    settings = {name: value for name, value in leaves.items() if not name.startswith("provenance.")}
    if vocabulary.settings is None:
        return settings, ()
    names = vocabulary.settings()
    sections = {name.partition(".")[0] for name in names}
    if all(name.partition(".")[0] in sections for name in settings):
        return settings, ()  # the objective refuses unknown ones, with what is similar
    run = RecordedRun(name="", leaves=settings, scores=(), vocabulary=vocabulary)
    found = {name: leaf for name in names if (leaf := leaf_of(name, run)) is not None}
    # A recorded name may be another setting's by now: `model.name` was a model's kind.
    renamed = {leaf for name, leaf in found.items() if name != leaf}
    found = {name: leaf for name, leaf in found.items() if name != leaf or leaf not in renamed}
    values = vocabulary.recorded_values
    params = {
        name: values.get(settings[leaf], settings[leaf])
        if isinstance(settings[leaf], str)
        else settings[leaf]
        for name, leaf in found.items()
    }
    used = {*found.values(), *vocabulary.former}
    return params, [leaf for leaf in settings if leaf not in used]
