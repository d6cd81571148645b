"""The stock objective: MicroSegFormer on faces. It knows neither Optuna nor SQL."""

from dataclasses import replace
from pathlib import Path

from search.mseg.config import Config
from search.mseg.data import data as _data
from search.mseg.models import microsegformer as _model
from search.mseg.test_split import describe_test, score_test
from search.mseg.trainer import train
from search.objective import Description, Params

__all__ = ["Config", "configure", "describe", "describe_test", "score_test", "train"]


def configure(params: Params) -> Config:
    """The config of flat parameters; SpaceError where one is unknown or out of range."""
    return Config.from_params(params)


def describe(config: Config, data: Path | None) -> Description:
    """What there is to train, and on what; DataError where a file is missing or inconsistent."""
    found = _data.describe(config.data, data)
    return replace(found, parameters=_model.parameters(config.model, found.classes))
