"""The stock objective: semantic segmentation. It knows neither Optuna nor SQL.

Importing this package loads neither torch nor pydantic, so that reading a study stays fast: each function
imports what it needs when it is called.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import SpaceError
from search.mseg import naming
from search.objective import Constraint, Description, Params, Value, Vocabulary

if TYPE_CHECKING:
    from search.mseg.config import Config


def _later(module: str, function: str) -> Callable[..., Any]:
    """A function of one of our modules, which is imported at the first call."""

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(f"search.mseg.{module}"), function)(*arguments, **options)

    return call


train = _later("trainer", "train")
describe_test = _later("test_split", "describe_test")
score_test = _later("test_split", "score_test")
predictor = _later("trained_predictor", "TrainedPredictor")
export_model = _later("standalone.export", "export_model")
export_onnx = _later("standalone.onnx_file", "export_onnx")
write_submission = _later("submission.write", "write_submission")
check_submission = _later("submission.check", "check_submission")
propose_dataset = _later("data.proposal", "propose")
settings_schema = _later("schema", "settings_schema")
dataset_schema = _later("schema", "dataset_schema")


def configure(params: Params) -> "Config":
    """The config of flat parameters; SpaceError if one is unknown or out of range."""
    from search.mseg.config import Config

    return Config.from_params(params)


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


def show_augmentation(config: "Config", data: Path | None, path: Path) -> None:
    """See `search.mseg.augment.preview.draw`."""
    from search.mseg.augment import preview
    from search.mseg.data import sources

    preview.draw(sources.load(config.data, data), config.augment).save(path, "PNG")


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
    examples=_later("gallery", "read"),
    examples_file=naming.GALLERY,
    example_words=("image", "images"),
).scored_by(None)
