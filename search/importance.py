"""How much each searched parameter matters, by PED-ANOVA, with what trials and chance leave open.

PED-ANOVA (Watanabe, Bansal & Hutter 2023, as Optuna has it) asks how differently a parameter is spread
among the best trials and among all of them. It takes complete trials: of a pruned one it is not known
where it would have come. Its figures alone say little, for they are never zero: from a few dozen trials
something always looks important. So

- the interval is what 19 of 20 resamples of the trials, drawn with replacement, give (percentiles);
- the chance level is what the LARGEST share stays below in 19 of 20 shufflings of the values over the
  trials, which leave nothing that could matter.

The sampler chose the configs and crowds them where it found good values; that is in all these figures.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from search.objective import Direction
from search.parameter import Parameter
from search.records import Record
from search.report.importance import Importance, Share

optuna.logging.set_verbosity(optuna.logging.WARNING)

FEWEST = 10
"""Complete trials below which nothing is said."""

TOP = 0.1
TOP_TRIALS = 5
"""The best tenth counts as the best, and five trials at least, as Optuna advises."""

RESAMPLES = 200
LEVEL = 95.0


def importance_of(
    records: Sequence[Record], parameters: Sequence[Parameter], direction: Direction
) -> Importance | None:
    """The importance of `parameters` by the complete trials; None where these are fewer than `FEWEST`."""
    complete = [record for record in records if record.state == "complete" and record.value is not None]
    if len(complete) < FEWEST:
        return None
    spread = {parameter.name: _distribution(parameter) for parameter in parameters}
    values = np.array([record.value for record in complete])
    count = len(complete)
    quantile = max(TOP, TOP_TRIALS / count)

    def shares(trials: NDArray[np.intp], of: NDArray[np.float64]) -> NDArray[np.float64]:
        study = optuna.create_study(direction=direction)
        study.add_trials(
            optuna.trial.create_trial(
                params=dict(complete[trial].params),
                distributions={name: spread[name] for name in complete[trial].params},
                value=value,
            )
            for trial, value in zip(trials, of, strict=True)
        )
        evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
        found: Mapping[str, float] = get_param_importances(study, evaluator=evaluator)
        return np.array([found.get(name, 0.0) for name in spread])

    rng = np.random.default_rng(0)  # the same records give the same report
    everyone = np.arange(count)
    estimate = shares(everyone, values)
    drawn = [rng.integers(count, size=count) for _ in range(RESAMPLES)]
    resampled = np.array([shares(trials, values[trials]) for trials in drawn])
    shuffled = np.array([shares(everyone, rng.permutation(values)) for _ in range(RESAMPLES)])
    low, high = np.percentile(resampled, [(100 - LEVEL) / 2, (100 + LEVEL) / 2], axis=0)
    found = [
        Share(
            name=name,
            share=float(estimate[index]),
            low=float(min(low[index], estimate[index])),
            high=float(max(high[index], estimate[index])),
            trials=sum(name in record.params for record in complete),
        )
        for index, name in enumerate(spread)
    ]
    return Importance(
        shares=sorted(found, key=lambda share: -share.share),
        trials=count,
        top=int(np.ceil(quantile * count)),
        chance=float(np.percentile(shuffled.max(axis=1), LEVEL)),
        resamples=RESAMPLES,
    )


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.choices:
        return CategoricalDistribution(parameter.choices)
    low, high, log = parameter.low, parameter.high, parameter.log
    if parameter.integer:
        return IntDistribution(int(low), int(high), log=log, step=int(parameter.step or 1))
    return FloatDistribution(low, high, log=log, step=parameter.step)
