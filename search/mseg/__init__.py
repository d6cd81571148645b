"""The stock objective: semantic segmentation. It knows neither Optuna nor SQL.

Importing this package loads neither torch nor pydantic, so that reading a study stays fast: each function
imports what it needs when it is called.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import SpaceError
from search.mseg import naming
from search.objective import (
    Constraint,
    Description,
    EpochResult,
    Examples,
    ImageScores,
    LabelledTest,
    Params,
    Run,
    Value,
    Vocabulary,
)
from search.objective.results import CheckedSubmission, ExportedModel

if TYPE_CHECKING:
    from search.mseg.config import Config
    from search.mseg.trained_predictor import TrainedPredictor

__all__ = [
    "check",
    "check_submission",
    "configure",
    "constraints",
    "dataset_schema",
    "describe",
    "describe_test",
    "export_model",
    "export_onnx",
    "predictor",
    "propose_dataset",
    "score_test",
    "settings_schema",
    "show_augmentation",
    "train",
    "vocabulary",
    "write_submission",
]


def configure(params: Params) -> "Config":
    """The config of flat parameters; SpaceError if one is unknown or out of range."""
    from search.mseg.config import Config

    return Config.from_params(params)


def train(config: "Config", run: Run) -> Iterator[EpochResult]:
    """See `search.mseg.trainer.train`."""
    from search.mseg.trainer import train

    yield from train(config, run)


def describe(config: "Config", data: Path | None) -> Description:
    """What there is to train, and on what; DataError if a file is missing or inconsistent."""
    from search.mseg.data import sources
    from search.mseg.models.registry import parameters

    description = sources.describe(config.data, data)
    return replace(description, parameters=parameters(config.model, description.classes))


def check(config: "Config", description: Description) -> None:
    """SpaceError if the training images do not fill a batch, or an imported model does not fit them."""
    from search.mseg.models.registry import check

    batch, name = config.trainer.batch_size, "trainer.batch_size"
    # Where `train_limit` is searched, the description has that of another config.
    images = min(description.train, config.data.train_limit or description.train)
    if batch > images:
        raise SpaceError(
            f"{name}: {batch} is more than the {images} training images; make it smaller", parameter=name
        )
    check(config.model, description.classes, config.data.image_size)


def constraints(config: "Config", description: Description | None) -> Sequence[Constraint]:
    """The cap on the model's trainable parameters, where the config has one."""
    from search.mseg.models.registry import parameters

    most, name = config.model.max_parameters, "model.max_parameters"
    if most is None or description is None:
        return ()
    count = parameters(config.model, description.classes)
    text = f"{name}: a model with {count:,} parameters is above {most:,}; make it smaller or raise the cap"
    return (Constraint(name=name, violation=count / most - 1, text=text),)


def describe_test(config: "Config", data: Path | None) -> LabelledTest:
    """See `search.mseg.test_split.describe_test`."""
    from search.mseg.test_split import describe_test

    return describe_test(config, data)


def score_test(
    config: "Config", weights: Path, data: Path | None, device: str, score: str | None = None
) -> ImageScores:
    """See `search.mseg.test_split.score_test`."""
    from search.mseg.test_split import score_test

    return score_test(config, weights, data, device, score)


def predictor(config: "Config | None", weights: Path, device: str, flip: bool) -> "TrainedPredictor":
    """See `search.mseg.trained_predictor.TrainedPredictor`."""
    from search.mseg.trained_predictor import TrainedPredictor

    return TrainedPredictor(config, weights, device, flip)


def export_model(config: "Config | None", weights: Path, folder: Path) -> ExportedModel:
    """See `search.mseg.standalone.export.export_files`."""
    from search.mseg.standalone.export import export_files
    from search.mseg.trained_predictor import load_checked

    return export_files(load_checked(config, weights), folder)


def export_onnx(config: "Config | None", weights: Path, path: Path) -> None:
    """See `search.mseg.standalone.onnx_file.write_onnx`."""
    from search.mseg.standalone.onnx_file import write_onnx
    from search.mseg.trained_predictor import load_checked

    write_onnx(load_checked(config, weights), path)


def write_submission(
    config: "Config | None", weights: Path, images: Path, path: Path, report: Callable[[int, int], None]
) -> int:
    """See `search.mseg.submission.write.write_submission`."""
    from search.mseg.submission.write import write_submission
    from search.mseg.trained_predictor import load_checked

    return write_submission(load_checked(config, weights), images, path, report)


def check_submission(path: Path, images: Path | None) -> CheckedSubmission:
    """See `search.mseg.submission.check.check_submission`."""
    from search.mseg.submission.check import check_submission

    return check_submission(path, images)


def show_augmentation(config: "Config", data: Path | None, path: Path) -> None:
    """See `search.mseg.augment.preview.draw`."""
    from search.mseg.augment import preview
    from search.mseg.data import sources

    preview.draw(sources.load(config.data, data), config.augment).save(path, "PNG")


def propose_dataset(data: Path | None) -> str:
    """See `search.mseg.data.proposal.propose`."""
    from search.mseg.data.proposal import propose

    return propose(data)


def settings_schema() -> dict[str, Any]:
    """See `search.mseg.schema.settings_schema`."""
    from search.mseg.schema import settings_schema

    return settings_schema()


def dataset_schema() -> dict[str, Any]:
    """See `search.mseg.schema.dataset_schema`."""
    from search.mseg.schema import dataset_schema

    return dataset_schema()


def _examples(folder: Path) -> Examples | None:
    """The validation images that the run in `folder` kept."""
    from search.mseg.gallery import read

    return read(folder)


def _settings() -> Sequence[str]:
    """The dotted name of every setting."""
    from search.mseg.config import SETTINGS

    return SETTINGS


def _defaults(params: Params) -> Mapping[str, Value]:
    """Every setting that `params` leave out, with the value that it then has."""
    from search.mseg.config import Config

    whole = Config.from_params(params).to_params()
    return {name: value for name, value in whole.items() if name not in params}


vocabulary = Vocabulary(
    aliases={alias: name for name, aliases in naming.CALLED.items() for alias in aliases.split()},
    recorded_aliases=naming.RECORDED_ALIASES,
    recorded_names=naming.RECORDED_NAMES,
    recorded_values={recorded: ours for ours, recorded in naming.RECORDED_KINDS.items()},
    first=naming.FIRST,
    curve=naming.curve,
    former=naming.FORMER,
    delay_setting="warmup_epochs",
    scores=naming.SCORES,
    score_range=(0.0, 1.0),
    direction="maximize",
    smallest_difference=0.005,  # half a point; another seed changes a run as much
    older_score_column="val_fscore_batch32",
    older_score_words="val F, pooled by batches",
    class_score_column="val_f_per_class",
    class_score_words="F",
    settings=_settings,
    defaults=_defaults,
    epochs_setting="trainer.epochs",
    all_data=True,
    faster={"trainer.compile": True},
    stand_in="drawn faces",
    examples=_examples,
    examples_file=naming.GALLERY,
    example_words=("image", "images"),
).scored_by(None)
