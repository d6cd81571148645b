"""The options of the median rule."""

import sys
from dataclasses import dataclass, replace

from search.objective import CurveShape, Params


@dataclass(frozen=True, kw_only=True, slots=True)
class MedianSettings:
    """Options of `study.pruner` in space.yaml for `kind: median`; `smooth` and `seed` are the study's.

    Raises ValueError for a value of the wrong type or out of its range.

    Attributes:
        startup_trials: how many others must have reached an age before a trial is ended at it, 1 or
            more; so at least as many run to their end.
        epochs: no trial is ended earlier than this many epochs after its delay or a restart, 1 or more.
            None: a tenth of the epochs it has, 5 where that is not known.
        patience: how many epochs in a row a trial must be below the median, 1 or more.
        margin: how far below, 0 or more, in standard deviations of the mean that is compared.
        control: share of would-be-pruned trials that run on, 0 to 1, to show what pruning costs.
        smooth: how many consecutive scores are averaged, 1 or more; fewer where there are fewer.
        seed: of the study; with a trial's number it draws the control group.
        horizon, warmup: the number of epochs a trial has, and of those that delay its curve, or the
            parameters that hold them; None: what the objective's vocabulary says.
    """

    startup_trials: int = 3
    epochs: int | None = None
    patience: int = 2
    margin: float = 2.0
    control: float = 0.1
    smooth: int = 5
    seed: int = 0
    horizon: str | int | None = None
    warmup: str | int | None = None

    def __post_init__(self) -> None:
        for name in ("startup_trials", "epochs", "patience", "smooth"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            if not whole and (name, value) != ("epochs", None):
                raise ValueError(f"{name}: {value!r} is not a whole number of 1 or more")
        for name, high in (("margin", sys.float_info.max), ("control", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
                limits = "of 0 or more" if name == "margin" else "from 0 to 1"
                raise ValueError(f"{name}: {value!r} is not a number {limits}")

    def shape(self, stated: CurveShape, params: Params) -> CurveShape:
        """The shape of a trial's curve that its objective `stated`, with what the options say instead."""
        horizon = params.get(self.horizon) if isinstance(self.horizon, str) else self.horizon
        delay = params.get(self.warmup) if isinstance(self.warmup, str) else self.warmup
        return replace(
            stated,
            horizon=stated.horizon if horizon is None else horizon,
            delay=stated.delay if delay is None else delay,
        )

    def grace(self, horizon: int | None) -> int:
        """Epochs after a delay or a restart before which a trial of `horizon` epochs is not ended.

        By default not fewer than `patience`: each epoch that counts needs a mean of its own.
        """
        if self.epochs is not None:
            return self.epochs
        return max(self.patience, horizon // 10) if horizon else 5
