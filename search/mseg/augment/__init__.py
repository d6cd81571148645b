"""Augmentation of training batches: `AugmentConfig` has the settings, `augment` applies them."""

from search.mseg.augment.pipeline import augment
from search.mseg.augment.settings import AugmentConfig, AugmentSettings

__all__ = ["AugmentConfig", "AugmentSettings", "augment"]
