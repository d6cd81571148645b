"""What to try next, each with what speaks for it in the records, and a command that does it."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from search.analysis.comparison import differences
from search.records import Record, candidates
from search.render.document import code
from search.report.material import Material
from search.spec.parameter import Parameter

NEAR = 0.1
"""Of a range, on its own scale: what counts as its end."""

TOP = 5
"""The best complete trials that are looked at; half of them at an end, and the best one, have hit it."""

LATE = 0.9
"""Of a training's epochs: who is best after that might have gone on."""

STALE = 0.25
"""Of the trials: a best among the last of them says that the search was still finding better ones."""

FREEZE_FROM = 20
"""Complete trials that speak for a parameter's having no influence; from fewer, little is known of any."""

HORIZON = "epochs"


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to try: what, what speaks for it, and the commands."""

    what: str
    evidence: str
    commands: Sequence[str]


@dataclass(frozen=True, slots=True)
class Hit:
    """An end of a range that the best trials crowd at.

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


def advice(material: Material, start: str) -> list[Advice]:
    """What to try next.

    Args:
        start: the command that makes a study `{name}` of the same document and data, up to its `--set`.
    """
    wider, longer, freeze = (find(material, start) for find in (_wider, _longer, _freeze))
    found = (_more_trials(material), _confirm(material), _ablate(material), wider, longer, freeze)
    return [each for each in found if each]


def hits(parameters: Sequence[Parameter], best: Sequence[Record], complete: Sequence[Record]) -> list[Hit]:
    """Ends of ranges that at least half of the `best` (the first of them included) are near.

    A low of 0, or of one step, is no end: what it bounds (a share, epochs) has nothing below.
    """
    found = []
    for parameter in parameters:
        if parameter.choices:
            continue
        for upper in (False, True):
            if not upper and 0 <= parameter.low <= (parameter.step or parameter.integer):
                continue
            near = [_is_near(parameter, record, upper) for record in best]
            present = [each for each in near if each is not None]
            everyone = [_is_near(parameter, record, upper) for record in complete]
            if near and near[0] and sum(present) >= max(2, len(present) / 2):
                trials = [each for each in everyone if each is not None]
                found.append(Hit(parameter, upper, sum(present), len(present), sum(trials), len(trials)))
    return found


def place(parameter: Parameter, value: float) -> float:
    """Where in its range a value is, from 0 to 1 on the range's own scale."""
    low, high = parameter.low, parameter.high
    if parameter.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def widened(hit: Hit) -> dict[str, Any]:
    """The range as space.yaml writes it, wider at the end that was hit.

    On a log scale three times as far, else by half of its width, or down to half of a low above 0.
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


def _more_trials(material: Material) -> Advice | None:
    """Where one of the last trials is the best."""
    budget, best = material.snapshot.budget, material.best.record
    later = sum(record.number > best.number for record in material.records)
    if budget.finished < budget.trials:
        return Advice(
            "Finish the search.",
            f"{budget.finished} of its {budget.trials} trials are finished.",
            [f"search start --study {material.study}"],
        )
    if later >= STALE * len(material.records):
        return None
    return Advice(
        "Go on with the search: it was still finding better trials.",
        f"The best is trial {best.number}; only {later} of {len(material.records)} trials came after it.",
        [f"search start --study {material.study} --trials {budget.trials + math.ceil(budget.trials / 2)}"],
    )


def _confirm(material: Material) -> Advice | None:
    """Where fresh seeds have not said yet whether the best is better."""
    found = material.confirmation
    if found is not None and found.ended:
        return None
    command, beside = f"search confirm --study {material.study}", "the baseline"
    if found is None and not material.snapshot.best_known and material.baseline is None:
        others = [each for each in best_first(material) if each.params != material.best.record.params]
        if not others:
            return None
        command, beside = f"{command} --top 1 --against {others[0].number}", "the next best"
    elif found is None:
        command += " --top 3"
        if material.baseline is not None and not material.is_own_baseline:
            command += f" --against {material.baseline.record.number}"
    luck = material.predicted
    lucky = "" if luck is None else f" {luck.curse:.4f} of the best value is expected to be luck."
    return Advice(
        f"Train the best again on fresh seeds, beside {beside}.",
        f"Every figure here is of one run with one seed.{lucky}",
        [command],
    )


def _ablate(material: Material) -> Advice | None:
    """Where several settings differ and nobody has asked which of them does it."""
    baseline, best = material.baseline, material.best
    if baseline is None or material.is_own_baseline:
        return None
    numbers = (baseline.record.number, best.record.number)
    if any((found.a.number, found.b.number) == numbers for found in material.ablations):
        return None
    changed, _ = differences(baseline.record.params, best.record.params)
    if len(changed) < 2:
        return None
    return Advice(
        "Find out which change does it.",
        f"{len(changed)} parameters differ at once between the baseline and the best.",
        [f"search ablate {numbers[0]} {numbers[1]} --study {material.study}"],
    )


def _wider(material: Material, start: str) -> Advice | None:
    """Where the best trials crowd at ends of ranges."""
    best = best_first(material)[:TOP]
    found = hits(material.spec.space.parameters, best, material.complete)
    if not found:
        return None
    said, overrides = [], []
    for hit in found:
        side, name = "upper" if hit.upper else "lower", hit.parameter.name
        said.append(
            f"{code(name)}: {hit.near} of the {hit.top} best trials, the best among them, are within "
            f"{NEAR:.0%} of the {side} end (of all complete ones {hit.all_near} of {hit.trials})."
        )
        written = yaml.safe_dump(widened(hit), default_flow_style=True, width=math.inf, sort_keys=False)
        overrides.append(f"{name}={written.strip()}")
    what = "Widen the ranges that were hit: what is better may lie beyond."
    return Advice(what, " ".join(said), [_new(start, material.study, "wider", overrides)])


def _longer(material: Material, start: str) -> Advice | None:
    """Where the best trials were best at the end of their training."""
    constants = material.spec.space.constants
    name = next((name for name in constants if name.rpartition(".")[2] == HORIZON), None)
    if name is None or not isinstance(constants[name], int):
        return None
    best = best_first(material)[:TOP]
    late = sum((record.best_epoch or 0) > LATE * constants[name] for record in best)
    if late < max(2, len(best) / 2):
        return None
    return Advice(
        "Train for longer.",
        f"{late} of the {len(best)} best trials had their best epoch in the last {1 - LATE:.0%} of the "
        f"{constants[name]} epochs they may have.",
        [_new(start, material.study, "longer", [f"{name}={math.ceil(1.5 * constants[name])}"])],
    )


def _freeze(material: Material, start: str) -> Advice | None:
    """Parameters whose importance is below an equal share, interval and all."""
    if material.importance is None or material.importance.trials < FREEZE_FROM:
        return None
    shares = material.importance.shares
    params = material.best.record.params
    equal = 1 / len(shares)
    idle = [share for share in shares if share.high < equal and share.name in params]
    if not idle:
        return None
    said = [
        f"{code(share.name)}: share of importance {share.share:.2f} ({share.low:.2f} to {share.high:.2f})"
        for share in idle
    ]
    overrides = [f"{share.name}={_written(params[share.name])}" for share in idle]
    return Advice(
        "Freeze what has shown no influence, at the best trial's values, and spend the trials on the rest.",
        f"{'; '.join(said)}; an equal share would be {equal:.2f}. In {material.importance.trials} trials "
        "of this study; elsewhere it may matter.",
        [_new(start, material.study, "frozen", overrides)],
    )


def best_first(material: Material) -> list[Record]:
    """The complete trials, the best first."""
    return candidates(material.records, material.snapshot.direction)


def _is_near(parameter: Parameter, record: Record, upper: bool) -> bool | None:
    """Whether a trial is near an end; None where it lacks the parameter."""
    if parameter.name not in record.params:
        return None
    at = place(parameter, record.params[parameter.name])
    return at >= 1 - NEAR if upper else at <= NEAR


def _new(start: str, study: str, suffix: str, overrides: Sequence[str]) -> str:
    """The command for a new study with these changes."""
    changes = "".join(f" --set {shlex.quote(override)}" for override in overrides)
    return start.format(name=f"{study}-{suffix}") + changes


def _written(value: Any) -> str:
    """A value as `--set` takes it."""
    return str(yaml.safe_dump(value, default_flow_style=True).partition("\n")[0])


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
