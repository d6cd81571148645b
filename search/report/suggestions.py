"""What to try next: each suggestion with the evidence in the records, and a command that does it."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from search import formatting
from search.analysis.comparison import differences
from search.records import Record, candidates
from search.render.document import code
from search.report.report_data import ReportData
from search.spec.parameter import Parameter

NEAR = 0.1
"""Part of a range, on its own scale, that counts as its end."""

TOP = 5
"""Best complete trials that are examined: an end is hit if half of them, and the best one, are near it."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing to try, the evidence for it, and the command."""

    action: str
    evidence: str
    command: str


@dataclass(frozen=True, slots=True)
class RangeHit:
    """An end of a range near which the best trials crowd.

    Attributes:
        near, top: how many of the best are near it, and how many of them have the parameter.
        all_near, trials: the same of all complete trials.
    """

    parameter: Parameter
    upper: bool
    near: int
    top: int
    all_near: int
    trials: int


def suggestions(data: ReportData, start: str) -> list[Suggestion]:
    """What to try next.

    Args:
        start: the command that makes a study `{name}` with the same document and data, up to its `--set`.
    """
    possible = (_more_trials(data), _confirm(data), _ablate(data), _wider_ranges(data, start))
    return [suggestion for suggestion in possible if suggestion]


def range_hits(
    parameters: Sequence[Parameter], best: Sequence[Record], complete: Sequence[Record]
) -> list[RangeHit]:
    """Ends of ranges that at least half of the `best` (the first of them included) are near.

    A low of 0, or of one step, is no end: there is nothing below it (a share, a number of epochs).
    """
    hits = []
    for parameter in parameters:
        if parameter.choices:
            continue
        for upper in (False, True):
            if not upper and 0 <= parameter.low <= (parameter.step or parameter.integer):
                continue
            near = _near(parameter, best, upper)
            leads = any(_near(parameter, best[:1], upper))
            if leads and sum(near) >= max(2, len(near) / 2):
                everyone = _near(parameter, complete, upper)
                hits.append(RangeHit(parameter, upper, sum(near), len(near), sum(everyone), len(everyone)))
    return hits


def position(parameter: Parameter, value: float) -> float:
    """Where a value is in its range, from 0 to 1 on the range's own scale."""
    low, high = parameter.low, parameter.high
    if parameter.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def widened(hit: RangeHit) -> dict[str, Any]:
    """The range as space.yaml writes it, wider at the end that was hit.

    On a log scale by a factor of three, else by half of its width, or down to half of a low above 0.
    """
    parameter = hit.parameter
    low, high = parameter.low, parameter.high
    if parameter.log:
        low, high = (low, 3 * high) if hit.upper else (low / 3, high)
    else:
        more = (high - low) / 2 if hit.upper or low < 0 else low / 2
        if parameter.step:
            more = max(1, math.floor(more / parameter.step)) * parameter.step
        low, high = (low, high + more) if hit.upper else (low - more, high)
    if parameter.integer:
        return {**parameter.to_document(), "low": math.ceil(low), "high": math.floor(high)}
    return {**parameter.to_document(), "low": _rounded(low), "high": _rounded(high)}


def _more_trials(data: ReportData) -> Suggestion | None:
    """If the search has not ended."""
    budget = data.snapshot.budget
    if budget.used_up:
        return None
    return Suggestion(
        "Finish the search.",
        f"{budget.finished} of its {budget.trials} trials are finished.",
        f"search start --study {data.study}",
    )


def _confirm(data: ReportData) -> Suggestion | None:
    """Unless fresh seeds have settled already whether the best is better."""
    if any(race.ended for race in data.confirmations):
        return None
    command, beside = f"search confirm --study {data.study}", "the baseline"
    if data.confirmations:
        race = data.confirmations[-1]
        command = race.plan.command(race.study).removesuffix(" --workers 0")
        if race.plan.stage is not None:
            command = f"search start --study {data.study}"
    elif not data.snapshot.best_known and data.baseline is None:
        others = [record for record in best_first(data) if record.params != data.best.record.params]
        if not others:
            return None
        command, beside = f"{command} --top 1 --against {others[0].number}", "the next best"
    else:
        command += " --top 3"
        if data.compared is not None:
            command += f" --against {data.compared.record.number}"
    luck = data.predicted
    expected = "" if luck is None else f" {luck.curse:.4f} of the best value is expected to be luck."
    return Suggestion(
        f"Retrain the best on fresh seeds, together with {beside}.",
        f"Every figure here is from one run with one seed.{expected}",
        command,
    )


def _ablate(data: ReportData) -> Suggestion | None:
    """If several settings differ and nobody has asked yet which of them makes the difference."""
    baseline, best = data.compared, data.best
    if baseline is None:
        return None
    numbers = (baseline.record.number, best.record.number)
    if any((answer.a.number, answer.b.number) == numbers for answer in data.ablations):
        return None
    changed, _ = differences(baseline.record.params, best.record.params)
    if len(changed) < 2:
        return None
    return Suggestion(
        "Find out which change makes the difference.",
        f"{len(changed)} parameters differ at once between the baseline and the best.",
        f"search ablate {numbers[0]} {numbers[1]} --study {data.study}",
    )


def _wider_ranges(data: ReportData, start: str) -> Suggestion | None:
    """If the best trials crowd at ends of ranges."""
    hits = range_hits(data.spec.space.parameters, best_first(data)[:TOP], data.complete)
    if not hits:
        return None
    sentences, overrides = [], []
    for hit in hits:
        side, name = "upper" if hit.upper else "lower", hit.parameter.name
        sentences.append(
            f"{code(name)}: {hit.near} of the {hit.top} best trials, the best among them, are within "
            f"{formatting.percent(NEAR)} of the {side} end (of all complete ones, {hit.all_near} of "
            f"{hit.trials})."
        )
        document = yaml.safe_dump(widened(hit), default_flow_style=True, width=math.inf, sort_keys=False)
        overrides.append(f"{name}={document.strip()}")
    action = "Widen the ranges whose ends were hit: better values may lie beyond."
    return Suggestion(action, " ".join(sentences), _new_study(start, data.study, "wider", overrides))


def best_first(data: ReportData) -> list[Record]:
    """The complete trials, the best first."""
    return candidates(data.records, data.snapshot.direction)


def _near(parameter: Parameter, records: Sequence[Record], upper: bool) -> list[bool]:
    """Of each trial that has the parameter, whether it is near that end."""
    values = [each.params[parameter.name] for each in records if parameter.name in each.params]
    places = [position(parameter, value) for value in values]
    return [place >= 1 - NEAR if upper else place <= NEAR for place in places]


def _new_study(start: str, study: str, suffix: str, overrides: Sequence[str]) -> str:
    """The command for a new study with these changes."""
    changes = "".join(f" --set {shlex.quote(override)}" for override in overrides)
    return start.format(name=f"{study}-{suffix}") + changes


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
