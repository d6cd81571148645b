"""What fresh seeds say about a search's best: the answer of `search confirm`. Pure: plan and scores in."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from search.analysis import paired_race, racing
from search.analysis.called_gain import gain_given_call
from search.analysis.chances import Chances, chances
from search.analysis.looks import Looks
from search.analysis.paired_race import PairedScores, contender_pairs, looks_of
from search.analysis.paired_seeds import Blocks, Estimate, Floats, nominal_level
from search.analysis.racing import REFERENCE, Decisions, Results, RetrainingAnswer, Side
from search.analysis.winners_curse import FEWEST, expected_curse
from search.records import finite
from search.scoring import Direction, sign_of
from search.study.plan import Plan, PlannedConfig

Verdict = Literal["better", "worse", "same", "not settled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigResult:
    """One config on fresh seeds.

    Attributes:
        seeds: how many it was trained with. mean: over them; None if too few to know how they vary.
        difference: less the baseline, on the same seeds. verdict: against it; None for the baseline.
        settled_after: the seeds after which the verdict fell. futile_after: the seeds after which it got no
            more, since they would hardly have settled it.
        chances: that it is better than the baseline, and that the difference matters.
        given_call: the difference, allowing for its having been called; None if it was not.
    """

    config: PlannedConfig
    seeds: int
    mean: Estimate | None
    difference: Estimate | None
    verdict: Verdict | None
    settled_after: int | None
    futile_after: int | None
    chances: Chances | None
    given_call: Estimate | None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.config.name,
            "number": self.config.number,
            "params": dict(self.config.params),
            "value": self.config.value,
            "seeds": self.seeds,
            "mean": self.mean and self.mean.to_json(),
            "difference": self.difference and self.difference.to_json(),
            "verdict": self.verdict,
            "settled_after": self.settled_after,
            "chance": self.chances and self.chances.better,
            "chances": self.chances and asdict(self.chances),
            "given_call": self.given_call and self.given_call.to_json(),
            "futile_after": self.futile_after,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ContenderComparison:
    """Two contenders on the same seeds: the first less the second; `verdict` is on the first."""

    names: tuple[str, str]
    difference: Estimate
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        return {
            "contenders": list(self.names),
            "difference": self.difference.to_json(),
            "verdict": self.verdict,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation(RetrainingAnswer):
    """The answer of `search confirm` so far.

    Attributes:
        contenders: the best first, by their difference.
        between: the contenders with each other; nothing in races of older versions.
        levels: at which the looks are tested, the lowest and the highest.
        luckiest: the config with the search's best value. curse: by how much that value was above the mean
            of its fresh seeds; None if that is not known, or if they use other splits.
        expected: the curse predicted with the noise that fresh seeds have shown.
    """

    baseline: ConfigResult
    contenders: Sequence[ConfigResult]
    between: Sequence[ContenderComparison]
    levels: tuple[float, float]
    luckiest: PlannedConfig
    curse: Estimate | None
    expected: float | None

    @property
    def winner(self) -> ConfigResult | None:
        """The first of those that are better; if none is, of those with a difference; None at first."""
        known = [row for row in self.contenders if row.difference is not None]
        return next((row for row in known if row.verdict == "better"), next(iter(known), None))

    @property
    def settled(self) -> bool:
        """Whether every contender has a verdict."""
        return all(row.verdict != "not settled" for row in self.contenders)

    @property
    def shared_offset(self) -> float | None:
        """The baseline's value in the search less its mean over fresh seeds, in the direction of better.

        The search's seed gave about as much to every config. None where the baseline is the luckiest one,
        or either is not known.
        """
        value, mean = self.baseline.config.value, self.baseline.mean
        if self.curse is None or value is None or mean is None or self.luckiest == self.baseline.config:
            return None
        return sign_of(self.direction) * (value - mean.value)

    def to_json(self) -> dict[str, Any]:
        """The object of `search confirm --json`."""
        winner = self.winner
        return finite(
            {
                **self.progress_to_json(),
                "settled": self.settled,
                "split": self.plan.split,
                "split_sizes": None
                if not self.plan.overlap
                else {"train": self.plan.train, "val": self.plan.val},
                "baseline": self.baseline.to_json(),
                "contenders": [result.to_json() for result in self.contenders],
                "between": [pair.to_json() for pair in self.between],
                "errors": self.plan.errors,
                "margin": self.plan.margin,
                "winner": winner
                and {
                    "name": winner.config.name,
                    "number": winner.config.number,
                    "verdict": winner.verdict,
                    "chance": winner.chances and winner.chances.better,
                },
                "curse": {
                    "predicted": self.plan.predicted and asdict(self.plan.predicted),
                    "expected": self.expected,
                    "measured": self.curse and self.curse.to_json(),
                    "shared": self.shared_offset,
                },
            }
        )


def confirmation(
    study: str, plan: Plan, results: Results, direction: Direction, *, ended: bool
) -> Confirmation:
    """The answer in these results; `ended` if nothing more will be planned."""
    sign = sign_of(direction)
    pooled = plan.errors == "pooled"
    paired = PairedScores(results.scores, plan.overlap or 0.0, plan.errors == "moderated")
    scores = Blocks(results.scores) if pooled else paired
    # Only finished rounds: a decision stays what it was when it was made.
    finished = results.scores[:, : results.rounds]
    decided = rule_of(plan)(finished)
    baseline, *contenders = _config_results(plan, scores, paired, decided, sign)
    # A config without a value in the search cannot be its luckiest one.
    luckiest = max(
        (baseline, *contenders),
        key=lambda result: -np.inf if result.config.value is None else sign * result.config.value,
    )
    values, noise = [sign * value for value in plan.values], scores.noise
    return Confirmation(
        study=study,
        plan=plan,
        direction=direction,
        baseline=baseline,
        contenders=sorted(
            contenders, key=lambda each: -sign * each.difference.value if each.difference else np.inf
        ),
        between=[] if pooled else _between(plan, finished, decided, sign),
        planned=results.planned,
        open=results.running,
        lost=results.lost,
        ended=ended,
        levels=_levels(plan),
        noise=noise,
        luckiest=luckiest.config,
        curse=_curse(luckiest, sign) if plan.split is None else None,
        expected=expected_curse(values, noise) if noise and len(values) >= FEWEST else None,
    )


def rule_of(plan: Plan) -> Callable[[Floats], Decisions]:
    """What decides the race, given the scores of its finished rounds."""
    if plan.errors == "pooled":
        return partial(racing.decisions, first=plan.first, last=plan.last)
    return partial(paired_race.decisions, looks=_looks(plan))


def _looks(plan: Plan) -> Looks:
    contenders, overlap = len(plan.configs) - 1, plan.overlap or 0.0
    moderated = plan.errors == "moderated"
    return looks_of(contenders, plan.first, plan.last, plan.margin, overlap, moderated=moderated)


def _levels(plan: Plan) -> tuple[float, float]:
    if plan.errors == "pooled":
        level = nominal_level(len(plan.configs) - 1, plan.first, plan.last)
        return level, level
    levels = _looks(plan).levels
    return float(min(levels)), float(max(levels))


def _config_results(
    plan: Plan, scores: Blocks | PairedScores, paired: PairedScores, decided: Decisions, sign: int
) -> list[ConfigResult]:
    """In the plan's order, the baseline first.

    Args:
        scores: what estimates come from, which in older races pools the noise of all configs.
    """
    seeds = np.isfinite(paired.scores).sum(axis=1)
    common = paired.common_variance()
    probable = [None, *chances(paired.scores, sign, plan.margin, paired.overlap)]
    rows = []
    for index, (config, decision) in enumerate(zip(plan.configs, decided, strict=True)):
        is_baseline = index == REFERENCE
        side = None if decision is None else decision.side
        verdict = _verdict(side, sign)
        given_call = None
        if plan.errors != "pooled" and side in ("higher", "lower"):
            given_call = gain_given_call(paired.differences(index, REFERENCE), _looks(plan), common)
        rows.append(
            ConfigResult(
                config=config,
                seeds=int(seeds[index]),
                mean=scores.mean(index),
                difference=None if is_baseline else scores.difference(index, REFERENCE),
                verdict=None if is_baseline else verdict,
                settled_after=decision.seeds if decision and side != "futile" else None,
                futile_after=decision.seeds if decision and side == "futile" else None,
                chances=probable[index],
                given_call=given_call,
            )
        )
    return rows


def _between(plan: Plan, finished: Floats, decided: Decisions, sign: int) -> list[ContenderComparison]:
    pairs = contender_pairs(finished, _looks(plan), decided)
    return [
        ContenderComparison(
            names=(plan.configs[pair.configs[0]].name, plan.configs[pair.configs[1]].name),
            difference=pair.difference,
            verdict=_verdict(pair.side, sign),
        )
        for pair in pairs
    ]


def _verdict(side: Side | None, sign: int) -> Verdict:
    """In the direction of better."""
    if side == "same":
        return "same"
    if side in ("higher", "lower"):
        return "better" if (side == "higher") == (sign > 0) else "worse"
    return "not settled"


def _curse(luckiest: ConfigResult, sign: int) -> Estimate | None:
    """The search's value less the mean of fresh seeds, in the direction of better."""
    value, mean = luckiest.config.value, luckiest.mean
    if value is None or mean is None:
        return None
    low, high = sorted((sign * (value - mean.low), sign * (value - mean.high)))
    return Estimate(sign * (value - mean.value), low, high, mean.p, mean.above)
