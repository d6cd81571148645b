"""What fresh seeds say of a search's best: the answer of `search confirm`. Pure: plan and scores in."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from search.analysis.paired_seeds import Blocks, Estimate, interval, nominal_level
from search.analysis.racing import REFERENCE, Results, calls
from search.analysis.winners_curse import FEWEST, expected_curse
from search.records import finite
from search.scoring import Direction, sign_of
from search.study.plan import Plan, PlannedConfig, Prediction

Verdict = Literal["better", "worse", "not settled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigResult:
    """One config.

    Attributes:
        seeds: how many it was trained with. mean: over them; None where fewer than two say how they vary.
        difference: less the baseline, on the same seeds. verdict: against it; None for itself.
        settled_after: the seeds after which it was called.
        chance: that it is better than the baseline, in view of the differences alone; see `chance_of`.
    """

    config: PlannedConfig
    seeds: int
    mean: Estimate | None
    difference: Estimate | None
    verdict: Verdict | None
    settled_after: int | None
    chance: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation:
    """The answer so far.

    Attributes:
        contenders: the best first, by their difference. winner: the first of them, once there is one.
        open: trainings that are planned and have not ended. lost: those that ended without a value.
        ended: whether nothing more will be planned. settled: whether nothing is open.
        nominal: the level of a single look. noise: of one value over seeds.
        luckiest: the config with the search's best value. curse: by how much that was above the mean of its
            fresh seeds; None where it is not known, or the splits are others.
        expected: the curse as it is predicted with the noise that fresh seeds have shown.
    """

    study: str
    plan: Plan
    direction: Direction
    baseline: ConfigResult
    contenders: Sequence[ConfigResult]
    planned: int
    open: int
    lost: int
    ended: bool
    nominal: float
    noise: float | None
    luckiest: PlannedConfig
    curse: Estimate | None
    expected: float | None

    @property
    def winner(self) -> ConfigResult | None:
        return next((row for row in self.contenders if row.difference is not None), None)

    @property
    def settled(self) -> bool:
        return all(row.verdict != "not settled" for row in self.contenders)

    @property
    def predicted(self) -> Prediction | None:
        return self.plan.predicted

    def to_json(self) -> dict[str, Any]:
        """The object of `search confirm --json`."""
        winner = self.winner
        return finite(
            {
                "study": self.study,
                "of": self.plan.of,
                "settled": self.settled,
                "ended": self.ended,
                "seeds": {"first": self.plan.first, "last": self.plan.last},
                "split": self.plan.split,
                "trials": {
                    "planned": self.planned,
                    "open": self.open,
                    "lost": self.lost,
                    "limit": self.plan.trials,
                },
                "baseline": _row(self.baseline),
                "contenders": [_row(row) for row in self.contenders],
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
                "noise": self.noise,
            }
        )


def confirmation(
    study: str, plan: Plan, results: Results, direction: Direction, *, ended: bool
) -> Confirmation:
    """The answer in these results; `ended` where nothing more will be planned."""
    sign = sign_of(direction)
    blocks = Blocks(results.scores)
    seeds = np.isfinite(results.scores).sum(axis=1)
    called = calls(results.scores[:, : results.rounds], plan.first, plan.last)  # as they were taken
    rows = []
    for index, config in enumerate(plan.configs):
        gain = blocks.difference(index, REFERENCE) if index != REFERENCE else None
        call = called[index]
        verdict: Verdict | None = None
        if index != REFERENCE:
            verdict = "not settled"
            if call is not None:
                verdict = "better" if (call.side == "higher") == (sign > 0) else "worse"
        above = None if gain is None else gain.above if sign > 0 else 1 - gain.above
        rows.append(
            ConfigResult(
                config=config,
                seeds=int(seeds[index]),
                mean=blocks.mean(index),
                difference=gain,
                verdict=verdict,
                settled_after=call.seeds if call else None,
                chance=None if above is None else chance_of(above, len(plan.configs) - 1),
            )
        )
    baseline, *contenders = rows
    luckiest = max(
        rows, key=lambda row: sign * row.config.value if row.config.value is not None else -np.inf
    )
    values = [sign * value for value in plan.values]
    noise = blocks.noise
    return Confirmation(
        study=study,
        plan=plan,
        direction=direction,
        baseline=baseline,
        contenders=sorted(
            contenders, key=lambda row: -sign * row.difference.value if row.difference else np.inf
        ),
        planned=results.planned,
        open=results.running,
        lost=results.lost,
        ended=ended,
        nominal=nominal_level(len(plan.configs) - 1, plan.first, plan.last),
        noise=noise,
        luckiest=luckiest.config,
        curse=_curse(luckiest, sign) if plan.split is None else None,
        expected=expected_curse(values, noise) if noise and len(values) >= FEWEST else None,
    )


def chance_of(above: float, contenders: int) -> float:
    """The chance that a contender is better, where it may have been picked as the best of several.

    `above` is that of one contender by itself: one less the one-sided p. To the power of their number
    (Sidak 1967): among equal configs the best of them reaches 95 % in 1 of 20 races.
    """
    return above**contenders


def _curse(best: ConfigResult, sign: int) -> Estimate | None:
    """The search's value of its best trial less the mean of fresh seeds, in the direction of better."""
    value, mean = best.config.value, best.mean
    if value is None or mean is None:
        return None
    low, high = sorted((sign * (value - mean.low), sign * (value - mean.high)))
    return Estimate(sign * (value - mean.value), low, high, mean.p, mean.above)


def _row(row: ConfigResult) -> dict[str, Any]:
    return {
        "name": row.config.name,
        "number": row.config.number,
        "params": dict(row.config.params),
        "value": row.config.value,
        "seeds": row.seeds,
        "mean": interval(row.mean),
        "difference": interval(row.difference),
        "verdict": row.verdict,
        "settled_after": row.settled_after,
        "chance": row.chance,
    }
