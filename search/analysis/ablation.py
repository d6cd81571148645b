"""What each change from A to B does: the answer of `search ablate`. Pure: plan and scores in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from search import formatting
from search.analysis.changes import Change
from search.analysis.effects import Effects, PairEffect
from search.analysis.paired_seeds import Estimate
from search.analysis.racing import REFERENCE, RaceDecision, Results, RetrainingAnswer, decisions
from search.records import finite
from search.scoring import Direction, sign_of
from search.study.plan import Plan, PlannedConfig

Verdict = Literal["helps", "hurts", "small", "not settled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One change alone.

    Attributes:
        text: the change in words. seeds: of A with the change. effect: A with the change less A.
        verdict: for `small` see `Effects.is_small`.
    """

    text: str
    seeds: int
    effect: Estimate | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation(RetrainingAnswer):
    """The answer of `search ablate` so far.

    Attributes:
        means: of A and B. total: B less A on the same seeds. effects: the largest first.
        texts: every change in words.
        unexplained: what neither changes alone nor trained pairs explain.
    """

    a: PlannedConfig
    b: PlannedConfig
    means: tuple[Estimate | None, Estimate | None]
    total: Estimate | None
    effects: Sequence[Effect]
    pairs: Sequence[PairEffect]
    texts: Sequence[str]
    unexplained: Estimate | None

    @property
    def left(self) -> Estimate | None:
        """The unexplained part beside what is listed: with two changes B is the pair, so there is none."""
        return None if len(self.b.changes) == 2 else self.unexplained

    def to_json(self) -> dict[str, Any]:
        """The object of `search ablate --json`."""
        return finite(
            {
                **self.progress_to_json(),
                **{
                    letter: {
                        "name": config.name,
                        "number": config.number,
                        "params": dict(config.params),
                        "mean": mean and mean.to_json(),
                    }
                    for letter, config, mean in zip("ab", (self.a, self.b), self.means, strict=True)
                },
                "total": self.total and self.total.to_json(),
                "effects": [
                    {
                        "change": effect.text,
                        "seeds": effect.seeds,
                        "effect": effect.effect and effect.effect.to_json(),
                        "verdict": effect.verdict,
                    }
                    for effect in self.effects
                ],
                "pairs": [
                    {
                        "changes": [self.texts[change] for change in pair.changes],
                        "both": pair.both and pair.both.to_json(),
                        "interaction": pair.interaction and pair.interaction.to_json(),
                    }
                    for pair in self.pairs
                ],
                "unexplained": self.unexplained and self.unexplained.to_json(),
            }
        )


def ablation(study: str, plan: Plan, results: Results, direction: Direction, *, ended: bool) -> Ablation:
    """The answer in these results; `ended` if nothing more will be planned."""
    contrasts = Effects(results.scores, [config.changes for config in plan.configs])
    decided = decisions(results.scores[: plan.opening, : results.rounds], plan.first, plan.last)
    seeds = np.isfinite(results.scores).sum(axis=1)
    texts = [described(change) for change in plan.changes]
    effects = []
    for change, estimate in enumerate(contrasts.alone):
        config = contrasts.alone_config(change)
        verdict = _verdict(contrasts, estimate, decided[config], sign_of(direction))
        effects.append(
            Effect(text=texts[change], seeds=int(seeds[config]), effect=estimate, verdict=verdict)
        )
    return Ablation(
        study=study,
        plan=plan,
        direction=direction,
        a=plan.configs[REFERENCE],
        b=plan.configs[contrasts.whole],
        means=(contrasts.blocks.mean(REFERENCE), contrasts.blocks.mean(contrasts.whole)),
        total=contrasts.total,
        effects=sorted(effects, key=lambda each: -abs(each.effect.value) if each.effect else 0.0),
        pairs=contrasts.pairs,
        texts=texts,
        unexplained=contrasts.unexplained,
        planned=results.planned,
        open=results.running,
        lost=results.lost,
        ended=ended,
        noise=contrasts.blocks.noise,
    )


def described(change: Change) -> str:
    """`optimizer.learning_rate 4e-4 → 8e-4`; what depends on it follows in brackets."""
    (name, (old, new)), *rest = change.items()
    text = f"{name} {formatting.change(old, new)}"
    return text + (f" (with {', '.join(name for name, _ in rest)})" if rest else "")


def _verdict(
    contrasts: Effects, effect: Estimate | None, decision: RaceDecision | None, sign: int
) -> Verdict:
    if decision is not None:
        return "helps" if (decision.side == "higher") == (sign > 0) else "hurts"
    return "small" if effect is not None and contrasts.is_small(effect) else "not settled"
