"""Uniform draws."""

from typing import Any

from optuna.samplers import BaseSampler, RandomSampler

from search.samplers.draw import SlotDraw


def uniform(draw: SlotDraw, **options: Any) -> BaseSampler:
    return RandomSampler(seed=draw.seed, **options)
