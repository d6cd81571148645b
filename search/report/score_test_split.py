"""`search report --final`: the one place where a labelled test split is read, and where that is counted.

The objective does the scoring (`describe_test`, `score_test` of `search.objective`) with the weights that
the trials left, here or in an artifact store. Whatever can be refused is refused before a read is counted;
a read is counted before anything is scored, and its results are stored before anybody sees them. Weights
that were scored on the same images and labels before are not scored again: the study has their scores.

The score of each image is stored, so that two trials can be compared image by image; file names and paths
are not.
"""

import hashlib
import json
import math
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.analysis.split_scores import SplitRead, SplitScores, TrialScores
from search.errors import SearchError, UserError
from search.loading import configure, describe, load_objective
from search.objective import ImageScores, LabelledTest
from search.recorded_run import HISTORY
from search.render.output import say
from search.report.report_data import ReportData, ReportedTrial
from search.results.weights import find_weights
from search.runtime.devices import Device
from search.study.fingerprint import check_data
from search.study.read import trained_params
from search.study.study import Study
from storage import test_reads
from storage.test_reads import ReadRow

FUNCTIONS = ("describe_test", "score_test")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A trial to be scored: its config, the file with its weights, and that file's SHA-256."""

    number: int
    config: Any
    weights: Path
    sha256: str


def score_test_split(
    study: Study, trials: Sequence[ReportedTrial], data: Path | None, device: Device, artifacts: str | None
) -> None:
    """Scores those of `trials` that were not scored on the test split before, and counts the read.

    Args:
        artifacts: a store with the weights that are not on this machine.

    Raises:
        UserError: the objective scores no test split, there is none, or weights are missing.
        SearchError: the objective returned wrong scores.
    """
    device.confine()
    objective = load_objective(study.spec.objective)
    if not all(callable(getattr(objective, name, None)) for name in FUNCTIONS):
        raise UserError(
            f"--final: objective {study.spec.objective!r} scores no test split: it has no "
            f"{' and '.join(FUNCTIONS)}; see search/objective/__init__.py"
        )
    with tempfile.TemporaryDirectory(prefix="search-") as folder:
        candidates = [_candidate(study, trial, objective, artifacts, Path(folder)) for trial in trials]
        example = next(study.spec.space.corners())
        check_data(study, describe(objective, configure(objective, example), data))
        split = _split(objective, candidates, data)
        before = test_reads.reads(study.engine, study.id)
        known = {
            (number, row.document["trials"][number])
            for row in before
            if row.split == _hash(split)
            for number in row.results or ()
        }
        new = [each for each in candidates if (str(each.number), each.sha256) not in known]
        if not new:
            say(
                "these weights were scored on this test split before: recorded scores are shown; no new "
                "read"
            )
            return
        _count_and_score(study, objective, new, split, data, device)


def with_test_split(
    study: Study, report: ReportData, data: Path | None, device: Device, artifacts: str | None
) -> ReportData:
    """What is reported, with the scores on the test split; raises as `score_test_split`."""
    score_test_split(study, [trial for _, trial in reversed(report.roles)], data, device, artifacts)
    baseline = None if report.baseline is None else report.baseline.record.number
    return replace(report, test=read_split_scores(study, report.best.record.number, baseline))


def _count_and_score(
    study: Study,
    objective: Any,
    candidates: Sequence[_Candidate],
    split: LabelledTest,
    data: Path | None,
    device: Device,
) -> None:
    document = {
        "images": split.images,
        "fingerprint": dict(split.fingerprint),
        "problems": list(split.problems),
        "device": device.label,
        "trials": {each.number: each.sha256 for each in candidates},
    }
    number = test_reads.begin(study.engine, study.id, _hash(split), socket.gethostname(), document)
    results = {}
    score = study.spec.study.score
    options = {} if score is None else {"score": score}
    for each in candidates:
        say(f"scoring trial {each.number} on {split.images} test images ({device.label})")
        scored = objective.score_test(each.config, each.weights, data, device.name, **options)
        _check(study, scored, split)
        results[str(each.number)] = {
            "scores": [float(score) for score in scored.scores],
            "per_class": {name: [float(mean), count] for name, (mean, count) in scored.per_class.items()},
        }
    test_reads.end(study.engine, study.id, number, results)


def _candidate(
    study: Study, trial: ReportedTrial, objective: Any, artifacts: str | None, folder: Path
) -> _Candidate:
    params = trained_params(study, trial.record)
    weights = _weights(study, trial, artifacts, folder)
    with weights.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return _Candidate(trial.record.number, configure(objective, params), weights, sha256)


def _weights(study: Study, trial: ReportedTrial, artifacts: str | None, folder: Path) -> Path:
    """The weights of a trial: in its folder, or fetched from the store into `folder`."""
    number = trial.record.number
    if trial.missing and (trial.folder / HISTORY).exists():
        raise UserError(f"--runs: {trial.missing}: the weights beside it are not trial {number}'s")
    return find_weights(study, number, trial.folder, artifacts, folder, "--final")


def _split(objective: Any, candidates: Sequence[_Candidate], data: Path | None) -> LabelledTest:
    """What there is to score, the same for all candidates."""
    first: LabelledTest
    first, *others = (objective.describe_test(each.config, data) for each in candidates)
    for each, other in zip(candidates[1:], others, strict=True):
        if dict(other.fingerprint) != dict(first.fingerprint):
            raise UserError(
                f"--against: trial {each.number} is not scored in the same way as trial "
                f"{candidates[0].number}; name a baseline with the same evaluation size"
            )
    return first


def _hash(split: LabelledTest) -> str:
    """16 hexadecimal digits, equal for equal images and labels scored in the same way."""
    parts = json.dumps(dict(split.fingerprint), sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _check(study: Study, scored: ImageScores, split: LabelledTest) -> None:
    if len(scored.scores) != split.images or not all(map(math.isfinite, scored.scores)):
        raise SearchError(
            f"objective {study.spec.objective!r}: score_test gave {len(scored.scores)} scores for "
            f"{split.images} images, or some that are not finite"
        )


def read_split_scores(study: Study, best: int, baseline: int | None) -> SplitScores | None:
    """What the study has read of its test split; None if it has read nothing.

    Args:
        best, baseline: numbers of the trials to look up, on the images and labels on which the best was
            scored last.
    """
    rows = test_reads.reads(study.engine, study.id)
    if not rows:
        return None
    scored = [row for row in rows if row.results is not None]
    of_best = [row for row in scored if _trial_scores(row, best)]
    last = (of_best or scored or rows)[-1]
    same = [row for row in reversed(scored) if row.split == last.split]
    by_trial = {
        number: next((scores for row in same if (scores := _trial_scores(row, number))), None)
        for number in (best, baseline)
    }
    return SplitScores(
        reads=[_split_read(row) for row in rows],
        elsewhere=test_reads.reads_by_others(study.engine, study.id, last.split),
        split=last.split,
        images=last.document["images"],
        problems=last.document["problems"],
        best=by_trial[best],
        baseline=by_trial[baseline],
    )


def _trial_scores(row: ReadRow, number: int | None) -> TrialScores | None:
    """What trial `number` scored in this read; None if it was not scored in it."""
    result = (row.results or {}).get(str(number))
    if result is None or number is None:
        return None
    return TrialScores(
        trial=number,
        weights=row.document["trials"][str(number)],
        scores=result["scores"],
        per_class={name: (mean, count) for name, (mean, count) in result["per_class"].items()},
        read=row.number,
        device=row.document["device"],
    )


def _split_read(row: ReadRow) -> SplitRead:
    return SplitRead(
        number=row.number,
        begun=row.begun_at,
        host=row.host,
        split=row.split,
        trials=sorted(map(int, row.document["trials"])),
        ended=row.results is not None,
    )
