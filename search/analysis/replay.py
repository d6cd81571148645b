"""Whether a training that was run again gave the same, and if not, what was different. Pure.

Curves are equal to the last bit, or they differ by rounding (`ROUNDING`), or their levels are compared with
their noise as those of any two runs (`search/analysis/noise.py`). A run with other settings, another seed
or other data is another training: it may be equal, but is never "within noise".
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from search.analysis.noise import Evidence, compare
from search.records import finite
from search.scoring import Direction, best_mean

Verdict = Literal["identical", "within noise", "not reproduced"]
Kind = Literal["settings", "seed", "data", "code", "library", "device"]

ROUNDING = 1e-6
"""Difference of a score that the order of sums may make."""

ANOTHER_TRAINING: Sequence[Kind] = ("settings", "seed", "data")

KINDS: Mapping[str, Kind] = {
    "seed": "seed",
    "code": "code",
    "device": "device",
    "device_name": "device",
    "dtype": "device",
    "threads": "device",
}
"""Of what a run records about itself, what a name is about; the others are versions of libraries."""

PROVENANCE, DATA = "provenance.", "data."


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was not the same in the two runs; `then` or `now` is None where it is not recorded."""

    kind: Kind
    name: str
    then: Any
    now: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayAnswer:
    """How a training came out again.

    Attributes:
        epochs: how many were compared. differs_from: the first epoch whose score differs.
        largest: the largest difference of an epoch's score. value, replayed: both trainings' values.
        evidence: how the levels compare with the noise; None where that was not needed or not possible.
        differences: what was not the same.
    """

    verdict: Verdict
    epochs: int
    differs_from: int | None
    largest: float | None
    value: float | None
    replayed: float | None
    evidence: Evidence | None
    differences: Sequence[Difference]

    def to_json(self) -> dict[str, Any]:
        """The verdict's part of `search replay --json`."""
        difference = self.evidence and self.evidence.difference
        return finite(
            {
                "verdict": self.verdict,
                "epochs": self.epochs,
                "differs_from": self.differs_from,
                "largest_difference": self.largest,
                "value": self.value,
                "replayed": self.replayed,
                "difference": difference and difference.to_json(),
                "differences": [asdict(each) for each in self.differences],
            }
        )


def replayed(
    then: Sequence[float | None],
    now: Sequence[float | None],
    differences: Sequence[Difference],
    *,
    smooth: int,
    direction: Direction,
) -> ReplayAnswer:
    """The verdict on the scores of two trainings by epoch.

    Args:
        now: of the repetition; None for a score that is not finite.
    """
    pairs = list(zip(then, now, strict=False))
    unequal = [epoch for epoch, (a, b) in enumerate(pairs, 1) if a != b]
    if not unequal and len(then) != len(now):
        unequal = [len(pairs) + 1]
    gaps = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    first, second = _finite(then), _finite(now)
    same_length = len(first) == len(second) == len(then) == len(now)
    evidence: Evidence | None = None
    verdict: Verdict = "not reproduced"
    if not unequal:
        verdict = "identical"
    elif same_length and not any(each.kind in ANOTHER_TRAINING for each in differences):
        if max(gaps) <= ROUNDING:
            verdict = "within noise"
        else:
            evidence = compare(first, second, direction)
            if evidence.difference is not None and evidence.verdict == "not distinguishable":
                verdict = "within noise"
    return ReplayAnswer(
        verdict=verdict,
        epochs=len(pairs),
        differs_from=unequal[0] if unequal else None,
        largest=max(gaps, default=None),
        value=best_mean(first, smooth, direction),
        replayed=best_mean(second, smooth, direction),
        evidence=evidence,
        differences=differences,
    )


def differences_of(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """What is not the same in what two runs recorded of themselves, by dotted name.

    What the older one did not record yet is left out, unless that is its code.
    """
    found = []
    for name in {**now, **then}:
        a, b = then.get(name), now.get(name)
        about = name.removeprefix(PROVENANCE)
        if a == b or (name not in then and about != "code"):
            continue
        kind: Kind = "settings"
        if name.startswith(PROVENANCE):
            kind = "data" if about.startswith(DATA) else KINDS.get(about, "library")
        found.append(Difference(kind, about, a, b))
    return found


def _finite(scores: Sequence[float | None]) -> list[float]:
    return [score for score in scores if score is not None]
