"""Learning curves from the FT-PFN prior (Rakotoarison et al. 2024), which nobody of this project shaped.

A random network maps a config of four numbers to the parameters of its curve: where it starts and tends,
how fast, whether it turns and falls, how noisy it is. The package `ifbo` draws both; it is an extra
(`pip install "mseg-search[rivals]"`) and works offline.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from search.objective import Params
from search.scoring import best_mean
from simulation.learning_curves import SMOOTH, Curve, Family

EPOCHS = 50
DIMENSIONS = 4
BLOCK = 60
"""Slots whose configs are drawn together: one by one the network costs ten times as much."""

_OUTPUTS = 23  # of the network, by which the prior's authors describe a curve


class Prior:
    """The landscape of the study `seed`. A slot's config is drawn here; `params` say nothing about it."""

    def __init__(self, seed: int) -> None:
        from ifbo.priors.ftpfn_prior import DatasetPrior

        self._seed = seed
        _seed_global_generators([seed])
        self._dataset = DatasetPrior(DIMENSIONS, _OUTPUTS)
        self._block = cache(self._draw)

    def __call__(self, slot: int, params: Params) -> Curve:
        return self._block(slot // BLOCK)[slot % BLOCK]

    def _draw(self, block: int) -> list[Curve]:
        _seed_global_generators([self._seed, block])
        curves = self._dataset.curves_for_configs(np.random.uniform(size=(BLOCK, DIMENSIONS)))
        shares = np.linspace(0, 1, EPOCHS)
        noisy = [curves(shares, each) for each in range(BLOCK)]
        with patch("numpy.random.normal", lambda size, scale: np.zeros(size)):
            truths = [curves(shares, each) for each in range(BLOCK)]
        return [
            Curve(scores.tolist(), False, best_mean(truth.tolist(), SMOOTH) or 0.0)
            for scores, truth in zip(noisy, truths, strict=True)
        ]


def _seed_global_generators(seeds: list[int]) -> None:
    """The prior draws from NumPy's and PyTorch's."""
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    np.random.seed(seed)
    torch.manual_seed(seed)


SPACE: Mapping[str, Any] = {"trainer": {"epochs": EPOCHS}, "unused": {"low": 0.0, "high": 1.0}}

FAMILY = Family("FT-PFN prior", SPACE, cache(Prior))  # every pruner sees the same curves: drawn once
