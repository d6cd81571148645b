"""Whether a stage of a search could be trusted to choose what goes on to the next one. Pure.

- **Rank correlation** (Spearman) of the configs that both stages trained, with an interval from Fisher's z
  and the standard error sqrt((1 + rho^2 / 2) / (n - 3)) (Bonett & Wright 2000). Most of these configs were
  kept because they are good, and good configs are hard to order: in the whole space the order holds better.
- **The controls** are a random sample of what was not kept. The share of them that beats everything that
  was kept estimates how much of the rest would have; its interval is Wilson's (1927).

Each training is one run with one seed, so a single control may be ahead by luck.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from search.analysis.pruning_audit import Rate, wilson
from search.analysis.ranks import spearman
from search.records import finite
from search.scoring import Direction, sign_of

Group = Literal["kept", "known", "control"]
FEWEST = 5
"""Configs below which no rank correlation is given: its interval would be all of -1 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromotedConfig:
    """A config of a later stage.

    Attributes:
        number: of the trial of the search. group: why it went on.
        before, after: its value in the stage before and in this one; None where it was pruned or failed.
    """

    name: str
    number: int | None
    group: Group
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class StageCorrelation:
    """Spearman's rank correlation of `configs` values, with its 95 % interval."""

    value: float
    low: float
    high: float
    configs: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """What the second of two stages says about the choice of the first.

    Attributes:
        left: how many configs were not kept, those that were drawn as controls included.
        correlation: None with fewer than FEWEST configs, or where all values are equal.
        best: the config with the best value after, of all that went on.
        first_choice: the config that would have been chosen had the search ended before.
        better: how many of the controls beat everything that was kept; None without controls.
        lead: by how much the best control is ahead of the best that was kept; below 0: behind.
    """

    configs: Sequence[PromotedConfig]
    left: int
    correlation: StageCorrelation | None
    best: PromotedConfig | None
    first_choice: PromotedConfig | None
    better: Rate | None
    lead: float | None

    def to_json(self) -> dict[str, Any]:
        """The object under `promotions` of `search report --json`."""
        return finite(asdict(self))


def promotion(configs: Sequence[PromotedConfig], left: int, direction: Direction) -> Promotion:
    """What the values of the second stage say."""
    sign = sign_of(direction)
    ended = [(sign * config.after, config) for config in configs if config.after is not None]
    both = [(sign * config.before, after) for after, config in ended if config.before is not None]
    controls = [after for after, config in ended if config.group == "control"]
    others = [after for after, config in ended if config.group != "control"]
    choice = max(
        (config for _, config in ended if config.before is not None),
        key=lambda config: sign * (config.before or 0.0),
        default=None,
    )
    better, lead = None, None
    if controls and others:
        better = wilson(sum(after > max(others) for after in controls), len(controls))
        lead = max(controls) - max(others)
    return Promotion(
        configs=configs,
        left=left,
        correlation=_correlation([before for before, _ in both], [after for _, after in both]),
        best=max(ended, key=lambda pair: pair[0])[1] if ended else None,
        first_choice=choice,
        better=better,
        lead=lead,
    )


def _correlation(before: Sequence[float], after: Sequence[float]) -> StageCorrelation | None:
    count = len(before)
    if count < FEWEST or len(set(before)) == 1 or len(set(after)) == 1:
        return None
    rho = spearman(before, after)
    # At 1 and -1 Fisher's z is infinite: the nearest value that `count` ranks can have stands in for it.
    z = math.atanh(max(-1.0, min(1.0, rho)) * (1 - 6 / (count * (count**2 - 1))))
    half = 1.959964 * math.sqrt((1 + rho**2 / 2) / (count - 3))
    return StageCorrelation(rho, math.tanh(z - half), math.tanh(z + half), count)
