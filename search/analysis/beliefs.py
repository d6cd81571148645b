"""Known configs and beliefs held against the records: a row for each, with its number of trials.

A belief says that configs of one kind do worse. All trials that ended by their own results are split into
those of that kind and the others, and compared by ranks (Mann & Whitney 1947; p by permutation). A pruned
or diverged trial ranks below every complete one, all of them alike (worst-rank scores, Lachin 1999): it
was ended because it promised less. The p values are adjusted for the number of beliefs (Holm 1979).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from search import formatting
from search.analysis import noise
from search.analysis.noise import Evidence
from search.analysis.rank_tests import holm, rank_sum
from search.records import Record
from search.render.document import literal
from search.scoring import Direction, sign_of
from search.spec.known import Belief, KnownConfig

LEVEL = 0.05

Word = Literal["supported", "contradicted", "undetermined"]


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A known config: the trial that ran it, and how it did beside the baseline; None: not both ran."""

    name: str
    record: Record | None
    evidence: Evidence | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BeliefRow:
    """A belief and what became of it.

    Attributes:
        says: the configs that it advises against, in words.
        inside, outside: how many such trials there are, and how many others with these parameters.
        inside_median, outside_median: of the values of the complete ones.
        better: the share of pairs in which the one that was advised against is better.
        p: adjusted; None where one side is empty.
    """

    name: str
    says: str
    inside: int
    outside: int
    inside_median: float | None
    outside_median: float | None
    better: float | None
    p: float | None

    @property
    def verdict(self) -> Word:
        if self.p is None or self.better is None or self.p > LEVEL:
            return "undetermined"
        return "contradicted" if self.better > 0.5 else "supported"


def known_rows(
    known: Sequence[KnownConfig], records: Sequence[Record], baseline: Record | None, direction: Direction
) -> list[KnownRow]:
    """A row for every known config in their order, each beside `baseline`."""
    by_name = {record.known: record for record in records if record.known}
    rows = []
    for config in known:
        record = by_name.get(config.name)
        found = None
        if record and baseline and record.number != baseline.number:
            a, b = ([y for y in each.curve if y is not None] for each in (baseline, record))
            if a and b:
                found = noise.compare(a, b, direction)
        rows.append(KnownRow(config.name, record, found))
    return rows


def belief_rows(
    beliefs: Sequence[Belief],
    records: Sequence[Record],
    constants: Mapping[str, Any],
    direction: Direction,
) -> list[BeliefRow]:
    """A row for every belief in their order."""
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
        BeliefRow(
            name=belief.name,
            says=in_words(belief.conditions),
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
    """Whether all comparisons hold for a config; None where it lacks one of their parameters."""
    if not conditions.keys() <= params.keys():
        return None
    return all(
        _holds(word, operand, params[name])
        for name, comparisons in conditions.items()
        for word, operand in comparisons.items()
    )


def in_words(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    """`loss.dice_weight above 1.5 and model.dropout below 0.1`."""
    said = []
    for name, comparisons in conditions.items():
        for word, operand in comparisons.items():
            values = operand if word == "one_of" else [operand]
            shown = " or ".join(literal(formatting.parameter(value)) for value in values)
            said.append(f"{literal(name)} {'' if word in ('one_of', 'equals') else f'{word} '}{shown}")
    return " and ".join(said)


def _holds(word: str, operand: Any, value: Any) -> bool:
    if word == "above":
        return bool(value > operand)
    if word == "below":
        return bool(value < operand)
    return value in operand if word == "one_of" else bool(value == operand)


def _judged(record: Record) -> bool:
    """Whether its own results ended it: it is neither under way, broken, nor too large for the memory."""
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
