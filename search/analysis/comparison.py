"""Two recorded runs side by side: what differs, what does not, and which is better as far as is known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from search.analysis import noise
from search.analysis.claims import Claim, Finding, check_claim
from search.analysis.image_intervals import ImageDifference, image_difference
from search.analysis.noise import Evidence
from search.analysis.stages import TrainingStage, boundaries, stages
from search.errors import UserError
from search.recorded_run import RecordedRun
from search.records import finite
from search.scoring import Direction, best_mean
from search.spec.parameter import same

WINDOWS = (5, 9)
"""Lengths of the means that are shown, in epochs."""

FAR_LONGER = 2.5
"""Beyond this ratio of epochs, `noise` underestimates what the longer run gains by luck."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSide:
    """One of the two runs.

    Attributes:
        best_score, best_epoch: its best raw score, and the epoch of it.
        means: the best mean of consecutive epochs, by their number.
        stages: empty if lower scores are better, or the run is shorter than its warm-up.
    """

    name: str
    epochs: int
    best_score: float
    best_epoch: int
    means: Mapping[int, float]
    stages: Sequence[TrainingStage]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What there is to say about two runs.

    Attributes:
        metric: what is compared, in words.
        changed: leaf -> its value in a and in b, None if a run has no such leaf.
        equal: leaf -> its value in both.
        equal_first: the leaves of `equal` that matter most.
        notes: sentences about what the figures do not show.
        over_images: the difference for other images, too; None if either run kept no scores by image.
        staged: whether the ends of the stages were given; JSON has the stages only then.
    """

    a: RunSide
    b: RunSide
    metric: str
    direction: Direction
    changed: Mapping[str, tuple[Any, Any]]
    equal: Mapping[str, Any]
    equal_first: Sequence[str]
    evidence: Evidence
    claims: Sequence[Finding]
    notes: Sequence[str]
    over_images: ImageDifference | None = None
    staged: bool = False

    def to_json(self) -> dict[str, Any]:
        """The object of `search compare --json`."""
        sides = {"a": self.a, "b": self.b}
        return finite(
            {
                "changed": {leaf: list(values) for leaf, values in self.changed.items()},
                "equal": dict(self.equal),
                "best": {
                    name: {"score": side.best_score, "epoch": side.best_epoch}
                    for name, side in sides.items()
                },
                "means": {str(window): [self.a.means[window], self.b.means[window]] for window in WINDOWS},
                "verdict": self.evidence.verdict,
                "claims": [{"text": claim.text, "found": claim.found} for claim in self.claims],
                "over_images": self.over_images and self.over_images.to_json(),
                **(
                    {
                        "stages": {
                            name: [asdict(stage) for stage in side.stages] for name, side in sides.items()
                        }
                    }
                    if self.staged
                    else {}
                ),
            }
        )


def compare(
    a: RecordedRun, b: RecordedRun, claims: Iterable[Claim] = (), ends: Sequence[int] | None = None
) -> Comparison:
    """`a` and `b` side by side.

    Args:
        ends: where the first four stages end, in both; by default each run's own rule decides.

    Raises:
        UserError: their scores cannot be compared.
    """
    if a.direction != b.direction:
        raise UserError(f"compare: in {a.name} higher scores are better, in {b.name} lower ones")
    a, b, notes = _on_one_metric(a, b)
    notes += _cautions(a, b)
    changed, equal = differences(a.leaves, b.leaves)
    evidence = noise.compare(list(a.finite.values()), list(b.finite.values()), a.direction)
    difference = evidence.difference
    return Comparison(
        a=_side(a, ends),
        b=_side(b, ends),
        metric=a.metric,
        direction=a.direction,
        changed=changed,
        equal=equal,
        equal_first=_named_first(equal, a.vocabulary.first),
        evidence=evidence,
        claims=[check_claim(claim, a.leaves, b.leaves, a.vocabulary) for claim in claims],
        notes=notes,
        over_images=None
        if difference is None
        else image_difference(f"{b.name} less {a.name}", difference, [(b.images, a.images)]),
        staged=ends is not None,
    )


def differences(
    a: Mapping[str, Any], b: Mapping[str, Any]
) -> tuple[dict[str, tuple[Any, Any]], dict[str, Any]]:
    """Leaves that differ, and leaves that do not; a leaf that a run lacks is None there."""
    changed: dict[str, tuple[Any, Any]] = {}
    equal: dict[str, Any] = {}
    for leaf in {**a, **b}:
        old, new = a.get(leaf), b.get(leaf)
        if same(old, new):
            equal[leaf] = old
        else:
            changed[leaf] = (old, new)
    return changed, equal


def _named_first(leaves: Iterable[str], ends: Iterable[str]) -> list[str]:
    """The leaves whose names end so, in the order of `ends`."""
    leaves = list(leaves)
    named = [leaf for end in ends for leaf in leaves if leaf == end or leaf.endswith(f".{end}")]
    return list(dict.fromkeys(named))


def _on_one_metric(a: RecordedRun, b: RecordedRun) -> tuple[RecordedRun, RecordedRun, list[str]]:
    """Both by the older runs' metric where one has no other: ours record it beside their own."""
    if a.metric == b.metric:
        return a, b, []
    vocabulary = a.vocabulary
    older = vocabulary.older_score_words
    if {a.metric, b.metric} != {vocabulary.score_words, older}:
        raise UserError(
            f"compare: {a.name} has {a.metric} and {b.name} {b.metric}; they have no metric in common"
        )
    a, b = (
        run if run.metric == older else replace(run, scores=run.older_scores, images={}, metric=older)
        for run in (a, b)
    )
    for run in (a, b):
        if not run.finite:
            raise UserError(
                f"{run.folder}: {vocabulary.older_score_column} has no score, and the other run has no "
                "other metric"
            )
    return a, b, [f"Both by the older runs' metric, {older}: the only one they have in common."]


def _cautions(a: RecordedRun, b: RecordedRun) -> list[str]:
    """What to keep in mind about the figures of these two."""
    cautions = [
        f"{run.name} is {run.unfinished} at epoch {len(run.scores)}: what it would have reached is not "
        "known."
        for run in (a, b)
        if run.unfinished
    ]
    shorter, longer = sorted((a, b), key=lambda run: len(run.scores))
    if len(longer.scores) > FAR_LONGER * len(shorter.scores):
        cautions.append(
            f"{longer.name} has {len(longer.scores)} epochs and {shorter.name} {len(shorter.scores)}: the "
            "best of that many more epochs is luckier, and the interval covers that only in part."
        )
    if list(a.scores) == list(b.scores):
        cautions.append(
            "Their scores are equal to the last digit: the same run twice, or a setting without effect."
        )
    return cautions


def _side(run: RecordedRun, ends: Sequence[int] | None) -> RunSide:
    scores = list(run.finite.values())
    means = {window: best_mean(scores, window, run.direction) or 0.0 for window in WINDOWS}
    staged: Sequence[TrainingStage] = ()
    if run.direction == "maximize" and max(scores) > 0:
        cuts = ends or boundaries(run.scores, _warmup(run))
        staged = stages(cuts, run.scores, run.train_scores, run.rates)
    return RunSide(
        name=run.name,
        epochs=len(run.scores),
        best_score=run.finite[run.best_epoch],
        best_epoch=run.best_epoch,
        means=means,
        stages=staged,
    )


def _warmup(run: RecordedRun) -> int:
    """Epochs by which a setting delays the run's curve."""
    end = run.vocabulary.delay_setting
    delay = next((run.leaves[leaf] for leaf in run.leaves if end and leaf.endswith(end)), 0)
    return delay if isinstance(delay, int) else 0
