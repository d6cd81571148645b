"""How much each searched parameter matters, by PED-ANOVA, with its uncertainty and the level of chance.

PED-ANOVA (Watanabe, Bansal & Hutter 2023, as implemented in Optuna) measures how differently a parameter is
distributed among the best trials and among all of them. It uses complete trials: where a pruned one would
have ended is not known. Its figures alone say little, since they are never zero: with a few dozen trials
something always looks important. Therefore

- the interval covers 19 of 20 resamples of the trials, drawn with replacement (percentiles);
- the level of chance is what the LARGEST importance stays below in 39 of 40 shufflings of the values over
  the trials, after which nothing can matter: a permutation test for all parameters at once. Of 200
  shufflings it is the fifth largest, so values unrelated to the configs exceed it in 5 of 201 studies if
  the configs were drawn at random. TPE draws configs depending on earlier values, which may exceed it more
  often (`benchmarks/importance_calibration.py`): hence 39 of 40 rather than 19 of 20. It is a share of the
  importance found, and above 1 if chance alone gives more.

The best third counts as good, not a tenth as in studies of hundreds of trials: with a handful of good
trials hardly any effect can be told from chance.

The sampler chose the configs and concentrates them where it found good values, which affects all these
figures.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.records import Record
from search.scoring import Direction
from search.spec.parameter import Parameter

FEWEST = 10
"""Complete trials needed."""

TOP = 1 / 3
TOP_TRIALS = 5
"""The best third counts as good, and at least five trials, as Optuna advises."""

RESAMPLES, SHUFFLINGS = 200, 200
LEVEL, CHANCE = 95.0, 97.5
TINY = 1e-12

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """One parameter.

    Attributes:
        share: of all importance, 0 to 1. low, high: its 95 % interval over resampled trials.
        trials: number of complete trials that have it.
    """

    name: str
    share: float
    low: float
    high: float
    trials: int


@dataclass(frozen=True, slots=True)
class Importance:
    """The shares of all parameters, the largest first.

    Attributes:
        trials: number of complete trials behind it. top: number of them that count as good.
        chance: level below which the largest share stays in 97.5 % of shufflings.
        resamples: of the trials, for the intervals. shufflings: of the values, for the level of chance.
    """

    shares: Sequence[Share]
    trials: int
    top: int
    chance: float
    resamples: int
    shufflings: int

    def stands_out(self, share: Share) -> bool:
        """Whether it exceeds what chance gives the largest share: one test for all parameters."""
        return share.share > self.chance


def importance_of(
    records: Sequence[Record], parameters: Sequence[Parameter], direction: Direction
) -> Importance | None:
    """The importance of `parameters` in the complete trials; None if there are fewer than `FEWEST`."""
    import optuna  # showing an importance does not need Optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    from search.study.optuna_view import Memory, distributions
    from storage.samples import frozen

    complete = [record for record in records if record.is_candidate]
    if len(complete) < FEWEST:
        return None
    spread = distributions(parameters)
    samples = [
        {name: (value, spread[name]) for name, value in record.params.items()} for record in complete
    ]
    values = np.array([record.value for record in complete])
    count = len(complete)
    quantile = max(TOP, TOP_TRIALS / count)

    def importances(trials: NDArray[np.intp], of: Floats) -> Floats:
        """By parameter, for these trials (some several times) with the values `of`."""
        views = [
            frozen(number, TrialState.COMPLETE, value, samples[trial])
            for number, (trial, value) in enumerate(zip(trials, of, strict=True))
        ]
        study = optuna.create_study(direction=direction, storage=Memory(views, count))
        evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # resampled trials may lack a branch; `normalize` may change
            by_name = get_param_importances(study, evaluator=evaluator, normalize=False)
        return np.array([by_name.get(name, 0.0) for name in spread])

    rng = np.random.default_rng(0)  # the same records give the same report
    everyone = np.arange(count)
    estimate = importances(everyone, values)
    drawn = [rng.integers(count, size=count) for _ in range(RESAMPLES)]
    resampled = _shares(np.array([importances(trials, values[trials]) for trials in drawn]))
    shuffled = np.array([importances(everyone, rng.permutation(values)) for _ in range(SHUFFLINGS)])
    chance = np.percentile(shuffled.max(axis=1), CHANCE, method="higher")
    shares = _shares(estimate)
    low, high = np.percentile(resampled, [(100 - LEVEL) / 2, (100 + LEVEL) / 2], axis=0)
    with_intervals = [
        Share(
            name=name,
            share=float(shares[index]),
            low=float(min(low[index], shares[index])),
            high=float(max(high[index], shares[index])),
            trials=sum(name in record.params for record in complete),
        )
        for index, name in enumerate(spread)
    ]
    return Importance(
        shares=sorted(with_intervals, key=lambda share: -share.share),
        trials=count,
        top=int(np.ceil(quantile * count)),
        chance=float(chance / max(estimate.sum(), TINY)),
        resamples=RESAMPLES,
        shufflings=SHUFFLINGS,
    )


def _shares(importances: Floats) -> Floats:
    """Shares of the sum along the last axis; zeros if that is zero."""
    shares: Floats = importances / np.maximum(importances.sum(axis=-1, keepdims=True), TINY)
    return shares
