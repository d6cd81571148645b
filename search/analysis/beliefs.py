"""Known configs and beliefs checked against the records, each with its number of trials.

A belief says that configs of one kind do worse. It is tested on trials whose configs were drawn without
regard to results: a sampler that learns returns to what scored well, so its later configs differ from the
earlier ones in everything at once, and a parameter that does nothing looks like one that matters
(`benchmarks/belief_calibration.py`).

Those trials that ended by their own results are split into those of that kind and the others, and compared
by ranks (Mann & Whitney 1947; p by permutation). Pruned and diverged trials rank below every complete one,
all equal (worst-rank scores, Lachin 1999): they were ended because they promised less. The p values are
adjusted for the number of beliefs (Holm 1979).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from search.analysis import noise
from search.analysis.noise import Evidence
from search.analysis.ranks import holm, rank_sum
from search.records import Record
from search.scoring import Direction, sign_of
from search.spec.known import Belief, KnownConfig
from search.spec.settings import SamplerSettings

LEVEL = 0.05

NEVER_LEARN = ("random", "qmc")
START_UP = 10
"""Trials before Optuna's TPE and GP begin to learn, unless `n_startup_trials` says otherwise."""

Verdict = Literal["supported", "contradicted", "undetermined"]


@dataclass(frozen=True, slots=True)
class KnownConfigResult:
    """A known config: the trial that ran it, and the evidence beside the baseline, if both ran."""

    name: str
    record: Record | None
    evidence: Evidence | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BeliefResult:
    """A belief and how the records judge it.

    Attributes:
        inside, outside: number of such trials, and of others that have these parameters.
        inside_median, outside_median: of the values of the complete ones.
        better: the share of pairs in which the one that was advised against is better.
        p: adjusted; None if one side is empty.
    """

    belief: Belief
    inside: int
    outside: int
    inside_median: float | None
    outside_median: float | None
    better: float | None
    p: float | None

    @property
    def verdict(self) -> Verdict:
        if self.p is None or self.better is None or self.p > LEVEL:
            return "undetermined"
        return "contradicted" if self.better > 0.5 else "supported"


def known_config_results(
    known: Sequence[KnownConfig], records: Sequence[Record], baseline: Record | None, direction: Direction
) -> list[KnownConfigResult]:
    """Every known config in order, each beside `baseline`."""
    by_name = {record.known: record for record in records if record.known}
    results = []
    for config in known:
        record = by_name.get(config.name)
        evidence = None
        if record and baseline and record.number != baseline.number and baseline.scores and record.scores:
            evidence = noise.compare(baseline.scores, record.scores, direction)
        results.append(KnownConfigResult(config.name, record, evidence))
    return results


def drawn_blindly(records: Sequence[Record], sampler: SamplerSettings, *, informed: bool) -> list[Record]:
    """The trials whose configs were drawn without regard to results; none of them is a known config.

    Args:
        informed: whether the sampler had seen other trials or infeasible configs before the first of these.
    """
    start_up = 0 if informed else int(sampler.options.get("n_startup_trials", START_UP) or 0)
    return [
        record
        for record in records
        if record.known is None
        and record.repeat_of is None
        and (sampler.kind in NEVER_LEARN or record.number < start_up)
    ]


def belief_results(
    beliefs: Sequence[Belief],
    records: Sequence[Record],
    constants: Mapping[str, Any],
    direction: Direction,
) -> list[BeliefResult]:
    """Every belief in order, by `records`, which were drawn blindly."""
    judged = [record for record in records if _judged(record)]
    tests = []
    for belief in beliefs:
        inside: list[Record] = []
        outside: list[Record] = []
        for record in judged:
            holds = applies(belief.conditions, {**constants, **record.params})
            if holds is not None:
                (inside if holds else outside).append(record)
        ranked = ([_rank_value(r, direction) for r in side] for side in (inside, outside))
        tests.append((belief, inside, outside, rank_sum(*ranked) if inside and outside else None))
    adjusted = iter(holm([test.p for *_, test in tests if test]))
    return [
        BeliefResult(
            belief=belief,
            inside=len(inside),
            outside=len(outside),
            inside_median=_median(inside),
            outside_median=_median(outside),
            better=test.above if test else None,
            p=next(adjusted) if test else None,
        )
        for belief, inside, outside, test in tests
    ]


def applies(conditions: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> bool | None:
    """Whether all conditions hold for a config; None if it lacks one of their parameters."""
    if not conditions.keys() <= params.keys():
        return None
    return all(
        _holds(word, operand, params[name])
        for name, comparisons in conditions.items()
        for word, operand in comparisons.items()
    )


def _holds(word: str, operand: Any, value: Any) -> bool:
    if word == "above":
        return bool(value > operand)
    if word == "below":
        return bool(value < operand)
    return value in operand if word == "one_of" else bool(value == operand)


def _judged(record: Record) -> bool:
    """Whether its own results ended it, rather than a bug or a lack of memory; not if it still runs."""
    if record.state == "pruned":
        return record.reason is None or record.reason.code != "oom"
    return record.state == "complete" and record.value is not None


def _rank_value(record: Record, direction: Direction) -> float:
    if record.state == "pruned" or record.value is None:
        return float("-inf")
    return sign_of(direction) * record.value


def _median(records: Sequence[Record]) -> float | None:
    values = [r.value for r in records if r.state == "complete" and r.value is not None]
    return median(values) if values else None
