"""The section that checks known configs and beliefs against the records."""

from collections.abc import Iterator, Mapping
from typing import Any

from search import formatting
from search.analysis.beliefs import BeliefResult, KnownConfigResult, belief_results, known_config_results
from search.analysis.noise import Evidence
from search.render.document import Block, Paragraph, Table, literal
from search.report.report_data import ReportData

DASH = formatting.DASH

KNOWN_METHOD = (
    "The difference and its interval come from the best means of up to nine epochs and the noise of the "
    "two runs; one run each, tested at 1 %."
)

BELIEF_METHOD = (
    "Supported: configs of that kind did worse than the others, by the rank test of Mann and Whitney "
    "(two-sided, p by permutation, adjusted for the number of beliefs after Holm, 5 %). Contradicted: they "
    "did better. Better: the share of pairs in which the config that was advised against is better. Pruned "
    "and diverged trials rank last, all equal; medians are of complete trials."
)


def beliefs(data: ReportData) -> Iterator[Block]:
    """A row for every known config and every belief."""
    snapshot, spec = data.snapshot, data.spec
    baseline = data.baseline.record if data.baseline else None
    known = known_config_results(spec.known, data.records, baseline, snapshot.direction)
    believed = belief_results(spec.avoid, data.blind, spec.space.constants, snapshot.direction)
    if known:
        head = ["known config", "trial", "value", "from the baseline", "95 % interval", "verdict"]
        rows = [_known_cells(result, baseline is not None) for result in known]
        yield from (Table(head, rows), Paragraph(KNOWN_METHOD))
    if believed:
        head = ["advised against", "such trials", "others", "median", "of others", "better", "p", "verdict"]
        yield Table(head, list(map(_belief_cells, believed)))
        yield from (Paragraph(_tested(data)), Paragraph(BELIEF_METHOD))
    if not known and not believed:
        yield Paragraph("The study has neither known configs nor beliefs.")


def _tested(data: ReportData) -> str:
    """Which trials the beliefs are tested on, and what becomes of the others."""
    drawn = (
        f"Tested on the {len(data.blind)} of {len(data.records)} trials whose configs were drawn without "
        "regard to results."
    )
    if len(data.blind) == len(data.records):
        return drawn
    return (
        f"{drawn} No test holds for the others: they are known configs, repeats, or were chosen by what "
        "earlier trials had scored. `search ablate` tests a change by retraining."
    )


def _known_cells(result: KnownConfigResult, has_baseline: bool) -> list[str]:
    name, record = literal(result.name), result.record
    if record is None:
        return [name, "not started", DASH, DASH, DASH, "undetermined (n = 0)"]
    trial = [name, f"{record.number} ({record.state})", formatting.score(record.value)]
    if result.evidence is not None:
        return [*trial, *_evidence_cells(result.evidence)]
    is_baseline = has_baseline and record.value is not None
    return [*trial, DASH, DASH, "the baseline" if is_baseline else "undetermined (n = 1)"]


def _evidence_cells(evidence: Evidence) -> list[str]:
    difference = evidence.difference
    if difference is None:
        return [DASH, DASH, "undetermined (n = 1 each, too short)"]
    word = {"b better": "better", "a better": "worse", "not distinguishable": "not distinguishable"}
    interval = formatting.interval(difference.low, difference.high)
    return [f"{difference.value:+.4f}", interval, f"{word[evidence.verdict]} (n = 1 each)"]


def _belief_cells(result: BeliefResult) -> list[str]:
    return [
        f"{literal(result.belief.name)} ({in_words(result.belief.conditions)})",
        str(result.inside),
        str(result.outside),
        formatting.score(result.inside_median),
        formatting.score(result.outside_median),
        DASH if result.better is None else formatting.percent(result.better),
        DASH if result.p is None else f"{result.p:.3f}",
        f"{result.verdict} (n = {result.inside + result.outside})",
    ]


def in_words(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    """`loss.dice_weight above 1.5 and model.dropout below 0.1`."""
    parts = []
    for name, comparisons in conditions.items():
        for word, operand in comparisons.items():
            values = operand if word == "one_of" else [operand]
            text = " or ".join(literal(formatting.parameter(value)) for value in values)
            parts.append(f"{literal(name)} {'' if word in ('one_of', 'equals') else f'{word} '}{text}")
    return " and ".join(parts)
