"""What fresh seeds say about a search's best: the answer of `search confirm`. Pure: plan and scores in."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from search.analysis.paired_seeds import Blocks, Estimate, interval, nominal_level
from search.analysis.racing import REFERENCE, Results, RetrainingAnswer, decisions
from search.analysis.winners_curse import FEWEST, expected_curse
from search.records import finite
from search.scoring import Direction, sign_of
from search.study.plan import Plan, PlannedConfig, Prediction

Verdict = Literal["better", "worse", "not settled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigResult:
    """One config on fresh seeds.

    Attributes:
        seeds: how many it was trained with. mean: over them; None if too few to know how they vary.
        difference: less the baseline, on the same seeds. verdict: against it; None for the baseline.
        settled_after: the seeds after which the verdict fell.
        chance: that it is better than the baseline, given the differences alone; see `chance_of`.
    """

    config: PlannedConfig
    seeds: int
    mean: Estimate | None
    difference: Estimate | None
    verdict: Verdict | None
    settled_after: int | None
    chance: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.config.name,
            "number": self.config.number,
            "params": dict(self.config.params),
            "value": self.config.value,
            "seeds": self.seeds,
            "mean": interval(self.mean),
            "difference": interval(self.difference),
            "verdict": self.verdict,
            "settled_after": self.settled_after,
            "chance": self.chance,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation(RetrainingAnswer):
    """The answer of `search confirm` so far.

    Attributes:
        contenders: the best first, by their difference.
        nominal: the level of a single look.
        luckiest: the config with the search's best value. curse: by how much that value was above the mean
            of its fresh seeds; None if that is not known, or if they use other splits.
        expected: the curse predicted with the noise that fresh seeds have shown.
    """

    baseline: ConfigResult
    contenders: Sequence[ConfigResult]
    nominal: float
    luckiest: PlannedConfig
    curse: Estimate | None
    expected: float | None

    @property
    def winner(self) -> ConfigResult | None:
        """The first of the contenders, once there is a difference."""
        return next((row for row in self.contenders if row.difference is not None), None)

    @property
    def settled(self) -> bool:
        """Whether every contender has a verdict."""
        return all(row.verdict != "not settled" for row in self.contenders)

    @property
    def predicted(self) -> Prediction | None:
        return self.plan.predicted

    def to_json(self) -> dict[str, Any]:
        """The object of `search confirm --json`."""
        winner = self.winner
        return finite(
            {
                **self.progress_to_json(),
                "settled": self.settled,
                "split": self.plan.split,
                "baseline": self.baseline.to_json(),
                "contenders": [result.to_json() for result in self.contenders],
                "winner": winner
                and {
                    "name": winner.config.name,
                    "number": winner.config.number,
                    "verdict": winner.verdict,
                    "chance": winner.chance,
                },
                "curse": {
                    "predicted": self.predicted and asdict(self.predicted),
                    "expected": self.expected,
                    "measured": interval(self.curse),
                },
            }
        )


def confirmation(
    study: str, plan: Plan, results: Results, direction: Direction, *, ended: bool
) -> Confirmation:
    """The answer in these results; `ended` if nothing more will be planned."""
    sign = sign_of(direction)
    blocks = Blocks(results.scores)
    baseline, *contenders = _config_results(plan, results, blocks, sign)
    # A config without a value in the search cannot be its luckiest one.
    luckiest = max(
        (baseline, *contenders),
        key=lambda result: -np.inf if result.config.value is None else sign * result.config.value,
    )
    values, noise = [sign * value for value in plan.values], blocks.noise
    return Confirmation(
        study=study,
        plan=plan,
        direction=direction,
        baseline=baseline,
        contenders=sorted(
            contenders, key=lambda each: -sign * each.difference.value if each.difference else np.inf
        ),
        planned=results.planned,
        open=results.running,
        lost=results.lost,
        ended=ended,
        nominal=nominal_level(len(contenders), plan.first, plan.last),
        noise=noise,
        luckiest=luckiest.config,
        curse=_curse(luckiest, sign) if plan.split is None else None,
        expected=expected_curse(values, noise) if noise and len(values) >= FEWEST else None,
    )


def _config_results(plan: Plan, results: Results, blocks: Blocks, sign: int) -> list[ConfigResult]:
    """In the plan's order, the baseline first."""
    seeds = np.isfinite(results.scores).sum(axis=1)
    # Only finished rounds: a decision stays what it was when it was made.
    decided = decisions(results.scores[:, : results.rounds], plan.first, plan.last)
    rows = []
    for index, (config, decision) in enumerate(zip(plan.configs, decided, strict=True)):
        is_baseline = index == REFERENCE
        gain = None if is_baseline else blocks.difference(index, REFERENCE)
        verdict: Verdict | None = None if is_baseline else "not settled"
        if decision is not None:
            verdict = "better" if (decision.side == "higher") == (sign > 0) else "worse"
        above = None if gain is None else gain.above if sign > 0 else 1 - gain.above
        rows.append(
            ConfigResult(
                config=config,
                seeds=int(seeds[index]),
                mean=blocks.mean(index),
                difference=gain,
                verdict=verdict,
                settled_after=decision.seeds if decision else None,
                chance=None if above is None else chance_of(above, len(plan.configs) - 1),
            )
        )
    return rows


def chance_of(above: float, contenders: int) -> float:
    """The chance that a contender is better, if it may have been picked as the best of several.

    `above` is the chance of one contender by itself: 1 less the one-sided p. It is raised to the power of
    their number (Sidak 1967): among equal configs, the best of them reaches 95 % in 1 of 20 races.
    """
    return above**contenders


def _curse(luckiest: ConfigResult, sign: int) -> Estimate | None:
    """The search's value less the mean of fresh seeds, in the direction of better."""
    value, mean = luckiest.config.value, luckiest.mean
    if value is None or mean is None:
        return None
    low, high = sorted((sign * (value - mean.low), sign * (value - mean.high)))
    return Estimate(sign * (value - mean.value), low, high, mean.p, mean.above)
