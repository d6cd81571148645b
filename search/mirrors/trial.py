"""What a tracker gets of a trial, as plain values, and what it has to be able to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from search.records import Record, State
from search.study.folder import trial_name
from search.study.study import Study

KEPT = ("config.yaml", "history.json", "best.safetensors", "log.txt")
"""Files of a trial's folder that a tracker gets as links."""
FIGURE = "overlay.png"


@dataclass(frozen=True, kw_only=True)
class MirroredTrial:
    """One trial as trackers show it.

    Attributes:
        name: `trial-0017`. key: names it among all studies of all databases.
        params: what was sampled, and the seed. scores: raw, by epoch.
        results: value, best score and its epoch, and the like; final once it has ended.
        ended: its state, once it has.
        notes: what else is known of it, as text by name: its known config, why it ended, links to files.
        figure: its overlay, where it is on this machine.
    """

    name: str
    key: str
    params: Mapping[str, Any]
    scores: Mapping[int, float]
    results: Mapping[str, float]
    ended: State | None
    notes: Mapping[str, str]
    figure: Path | None


class Mirror(Protocol):
    """A study in a tracker.

    It asks the tracker what is there, and adds what is missing. So it may be killed at any time, and run
    again, but not twice at the same time for one study and place.
    """

    def add(self, trial: MirroredTrial) -> int:
        """Adds what the tracker lacks of a trial; returns the number of epochs that were new."""


def mirrored(study: Study, token: str, runs: Path, records: list[Record]) -> Iterator[MirroredTrial]:
    """The trials by number.

    Args:
        token: the study's; runs: where this machine has the folders of trials, if it has them.
    """
    for record in records:
        folder = (runs / study.name / trial_name(record.number)).absolute()
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
            key=f"{token}-{record.number}",
            params={**record.params, "seed": record.seed},
            scores={epoch: score for epoch, score in enumerate(record.curve, 1) if score is not None},
            results={name: float(value) for name, value in results.items() if value is not None},
            ended=None if record.state == "running" else record.state,
            notes={name: text for name, text in texts.items() if text},
            figure=folder / FIGURE if (folder / FIGURE).is_file() else None,
        )
