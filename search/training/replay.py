"""`search replay`: a trial trained once more as it was, and what the two runs recorded of themselves."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search import formatting
from search.analysis.replay import DATA, Difference, ReplayAnswer, differences_of, replayed
from search.errors import UserError
from search.recorded_run import CONFIG, read_leaves, without_labels
from search.records import Record
from search.render.document import Block, Cell, Headline, Marked, Paragraph, Status, Table, literal
from search.study.fingerprint import data_differences
from search.study.folder import trial_name
from search.study.study import Study
from search.training.request import TrainingRequest
from search.training.run import SeedTraining, Trainer

STATUS: Mapping[str, Status] = {"identical": "good", "within noise": "good", "not reproduced": "bad"}


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A trial and its repetition.

    Attributes:
        recorded: what the trial's folder says of it, by dotted name; None if that is not on this machine.
        folder: of the repetition; None if that was temporary.
    """

    study: str
    record: Record
    training: SeedTraining
    answer: ReplayAnswer
    recorded: Mapping[str, Any] | None
    folder: Path | None

    def to_json(self) -> dict[str, Any]:
        """The object of `search replay --json`."""
        return {
            "study": self.study,
            "trial": self.record.number,
            "seed": self.training.seed,
            **self.answer.to_json(),
            "provenance": self.recorded is not None,
            "folder": None if self.folder is None else str(self.folder),
        }

    def blocks(self) -> list[Block]:
        """The same for a person."""
        answer = self.answer
        text = {
            "identical": "is reproduced to the last bit",
            "within noise": "is reproduced within noise",
            "not reproduced": "is not reproduced",
        }[answer.verdict]
        blocks: list[Block] = [
            Headline(f"Trial {self.record.number} {text}", STATUS[answer.verdict], _detail(answer))
        ]
        if answer.differences:
            rows: list[list[Cell]] = [
                [Marked(each.kind, "open"), *map(literal, (each.name, _shown(each.then), _shown(each.now)))]
                for each in answer.differences
            ]
            blocks.append(Table(["what differs", "", "then", "now"], rows))
        elif self.recorded is not None:
            blocks.append(Paragraph("Settings, seed, data, code, libraries and device are those recorded."))
        if self.recorded is None:
            blocks.append(
                Paragraph(
                    "The trial's folder is not on this machine: only its curve and the fingerprint of its "
                    "data could be compared."
                )
            )
        return blocks


def recorded_of(study: Study, record: Record, runs: Path) -> Mapping[str, Any] | None:
    """What a trial's `config.yaml` says, by dotted name; None if it is not on this machine."""
    path = runs / study.name / trial_name(record.number) / CONFIG
    with suppress(UserError):
        return read_leaves(path)
    return None


def request_of_replay(request: TrainingRequest, record: Record) -> TrainingRequest:
    """The same for as many epochs as the trial ran.

    Raises:
        UserError: it ran none.
    """
    if not record.curve:
        raise UserError(f"replay: trial {record.number} ({record.state}) has run no epoch to repeat")
    return replace(request, last=len(record.curve))


def judge(
    study: Study,
    record: Record,
    trainer: Trainer,
    recorded: Mapping[str, Any] | None,
    folder: Path | None,
) -> Replay:
    """The verdict on a repetition that has ended.

    Args:
        trainer: what trained it, with one seed. recorded, folder: as in `Replay`.
    """
    request, (training,) = trainer.request, trainer.trainings
    vocabulary = request.vocabulary
    now: Mapping[str, Any] = {}
    with suppress(UserError):
        now = read_leaves(training.folder / CONFIG)
    then, now = (
        {
            name: value
            for name, value in without_labels(leaves, vocabulary).items()
            if name != vocabulary.data_setting  # the same data may be elsewhere
        }
        for leaves in (recorded or {}, now)
    )
    differences = differences_of(then, now) if then and now else []
    named = {each.name for each in differences}
    differences += [
        Difference("data", f"{DATA}{name}", there, here)
        for name, here, there in data_differences(study, trainer.description)
        if f"{DATA}{name}" not in named
    ]
    scores: Sequence[float | None] = [score if math.isfinite(score) else None for score in training.curve]
    answer = replayed(record.curve, scores, differences, smooth=request.smooth, direction=request.direction)
    return Replay(
        study=study.name,
        record=record,
        training=training,
        answer=answer,
        recorded=recorded,
        folder=folder,
    )


def _detail(answer: ReplayAnswer) -> str:
    if answer.differs_from is None:
        return f"all {answer.epochs} scores are equal"
    text = f"scores differ from epoch {answer.differs_from} of {answer.epochs}"
    if answer.largest is not None:
        text += f", by {answer.largest:.2g} at most"
    if answer.value is not None and answer.replayed is not None:
        value, replayed = formatting.score(answer.value), formatting.score(answer.replayed)
        text += f"; value {value}, now {replayed}"
    if answer.evidence is None:
        return text
    difference = answer.evidence.difference
    if difference is None:
        return f"{text}; too short to know their noise"
    interval = formatting.interval(difference.low, difference.high)
    return (
        f"{text}; the levels differ by {difference.value:+.4f}, 95 % interval of the runs' noise {interval}"
    )


def _shown(value: Any) -> str:
    return "not recorded" if value is None else str(value)
