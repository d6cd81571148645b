"""What each change from A to B does: the answer of `search ablate`. Pure: plan and scores in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from search import formatting
from search.analysis.changes import Change
from search.analysis.effects import Effects, Pair
from search.analysis.paired_seeds import Estimate, interval
from search.analysis.racing import REFERENCE, Call, Results, calls
from search.records import finite
from search.scoring import Direction, sign_of
from search.study.plan import Plan, PlannedConfig

Verdict = Literal["helps", "hurts", "small", "not settled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One change alone.

    Attributes:
        text: the change in words. seeds: of A with it. effect: less A. verdict: see `Effects.is_small`.
    """

    text: str
    seeds: int
    effect: Estimate | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation:
    """The answer so far.

    Attributes:
        total: B less A on the same seeds. effects: the largest first.
        unexplained: what neither changes alone nor trained pairs explain.
        open, lost, ended: as in a confirmation. noise: of one value over seeds.
    """

    study: str
    plan: Plan
    direction: Direction
    a: PlannedConfig
    b: PlannedConfig
    means: tuple[Estimate | None, Estimate | None]
    total: Estimate | None
    effects: Sequence[Effect]
    pairs: Sequence[Pair]
    texts: Sequence[str]
    unexplained: Estimate | None
    planned: int
    open: int
    lost: int
    ended: bool
    noise: float | None

    @property
    def left(self) -> Estimate | None:
        """What is unexplained beside what is shown: of two changes B is the pair, so nothing."""
        return None if len(self.b.changes) == 2 else self.unexplained

    def to_json(self) -> dict[str, Any]:
        """The object of `search ablate --json`."""
        return finite(
            {
                "study": self.study,
                "of": self.plan.of,
                "ended": self.ended,
                "seeds": {"first": self.plan.first, "last": self.plan.last},
                "trials": {
                    "planned": self.planned,
                    "open": self.open,
                    "lost": self.lost,
                    "limit": self.plan.trials,
                },
                **{
                    letter: {
                        "name": config.name,
                        "number": config.number,
                        "params": dict(config.params),
                        "mean": interval(mean),
                    }
                    for letter, config, mean in zip("ab", (self.a, self.b), self.means, strict=True)
                },
                "total": interval(self.total),
                "effects": [
                    {
                        "change": each.text,
                        "seeds": each.seeds,
                        "effect": interval(each.effect),
                        "verdict": each.verdict,
                    }
                    for each in self.effects
                ],
                "pairs": [
                    {
                        "changes": [self.texts[change] for change in pair.changes],
                        "both": interval(pair.both),
                        "interaction": interval(pair.interaction),
                    }
                    for pair in self.pairs
                ],
                "unexplained": interval(self.unexplained),
                "noise": self.noise,
            }
        )


def ablation(study: str, plan: Plan, results: Results, direction: Direction, *, ended: bool) -> Ablation:
    """The answer in these results; `ended` where nothing more will be planned."""
    sign = sign_of(direction)
    found = Effects(results.scores, [config.changes for config in plan.configs])
    called = calls(results.scores[: plan.opening, : results.rounds], plan.first, plan.last)
    seeds = np.isfinite(results.scores).sum(axis=1)
    texts = [described(change) for change in plan.changes]
    effects = [
        Effect(
            text=texts[change],
            seeds=int(seeds[found.alone_config(change)]),
            effect=effect,
            verdict=_verdict(found, effect, called[found.alone_config(change)], sign),
        )
        for change, effect in enumerate(found.alone)
    ]
    return Ablation(
        study=study,
        plan=plan,
        direction=direction,
        a=plan.configs[REFERENCE],
        b=plan.configs[found.whole],
        means=(found.blocks.mean(REFERENCE), found.blocks.mean(found.whole)),
        total=found.total,
        effects=sorted(effects, key=lambda each: -abs(each.effect.value) if each.effect else 0.0),
        pairs=found.pairs,
        texts=texts,
        unexplained=found.unexplained,
        planned=results.planned,
        open=results.running,
        lost=results.lost,
        ended=ended,
        noise=found.blocks.noise,
    )


def described(change: Change) -> str:
    """`optimizer.learning_rate 4e-4 → 8e-4`; what comes with it follows in brackets."""
    (name, (old, new)), *rest = change.items()
    text = f"{name} {formatting.change(old, new)}"
    return text + (f" (with {', '.join(name for name, _ in rest)})" if rest else "")


def _verdict(found: Effects, effect: Estimate | None, call: Call | None, sign: int) -> Verdict:
    if call is not None:
        return "helps" if (call.side == "higher") == (sign > 0) else "hurts"
    return "small" if effect is not None and found.is_small(effect) else "not settled"
