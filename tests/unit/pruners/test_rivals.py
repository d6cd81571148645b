"""The rivals of the simulated studies that are written anew decide as what they stand for."""

import numpy as np
import optuna
from simulation.pruners import Told, TopFew

from search.objective import CurveShape


def shape(params: object) -> CurveShape:
    return CurveShape(delay=2)


def test_the_told_median_decides_as_optunas_own() -> None:
    """Optuna's MedianPruner, given the mean of five at the age since the warm-up."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rng = np.random.default_rng(0)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    told = Told(20, shape)
    pruned = 0
    for number in range(40):
        trial = study.ask()
        told.begin(number, {})
        scores = rng.normal(0, 1, 20).cumsum()
        ends = False
        for epoch, score in enumerate(scores.tolist(), start=1):
            if epoch > 2:
                trial.report(float(np.mean(scores[max(2, epoch - 5) : epoch])), epoch - 2)
                ends = bool(trial.should_prune()) and epoch < 20
            assert told.ends(number, epoch, score) is ends
            if ends:
                break
        pruned += ends
        study.tell(trial, None if ends else 1.0, state=optuna.trial.TrialState.PRUNED if ends else None)
        told.ended(number, None if ends else 1.0)
    assert 5 < pruned < 35


def test_i_epoch_lets_only_the_three_best_at_one_age_go_on() -> None:
    few = TopFew(20, 1, shape)
    on = []
    for number, score in enumerate([0.1, 0.2, 0.3, 0.05, 0.4, 0.15, 0.25]):
        few.begin(number, {})
        assert not few.ends(number, 1, 0.0) and not few.ends(number, 2, 0.0)
        on.append(not few.ends(number, 3, score))
    assert on == [True, True, True, False, True, False, True]
