"""Uniform draws."""

from typing import Any

from optuna.samplers import BaseSampler, RandomSampler

from search.samplers.draw import SlotDraw


def uniform(draw: SlotDraw, **options: Any) -> BaseSampler:
    """Independent draws, uniform in each parameter (on its log scale where it has one)."""
    return RandomSampler(seed=draw.seed, **options)
