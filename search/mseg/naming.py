"""The stock objective's vocabulary: names, aliases, and how its curves are read.

Plain values, so that reading a study imports neither torch nor pydantic.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from search.mseg.files import GALLERY
from search.mseg.former import FORMER
from search.objective import CurveShape, Examples, Params, Value, Vocabulary

ALIASES = {
    "lr": "learning_rate",
    "initial_lr": "learning_rate",
    "initial_learning_rate": "learning_rate",
    "base_lr": "learning_rate",
    "wd": "weight_decay",
    "decay": "weight_decay",
    "drop_out": "dropout",
    "dropout_rate": "dropout",
    "warmup": "warmup_epochs",
    "warm_up": "warmup_epochs",
    "warm_up_epochs": "warmup_epochs",
    "dice": "dice_weight",
    "batch": "batch_size",
    "horizon": "epochs",
    "t_max": "epochs",
    "max_epochs": "epochs",
    "workers": "num_workers",
    "loader_workers": "num_workers",
    "patience": "early_stopping_patience",
    "early_stopping": "early_stopping_patience",
    "schedule": "scheduler",
    "lr_scheduler": "scheduler",
    "clip": "max_grad_norm",
    "grad_clip": "max_grad_norm",
    "gradient_clipping": "max_grad_norm",
    "lmsa": "use_lmsa",
    "amp": "use_amp",
    "mixed_precision": "use_amp",
    "flip": "horizontal_flip",
    "hue_jitter": "hue",
    "gaussian_blur": "blur",
    "gaussian_noise": "noise",
    "random_erasing": "cutout",
    "erasing": "cutout",
    "random_crop": "crop",
    "resized_crop": "crop",
    "random_resized_crop": "crop",
    "color": "colour",
    "color_jitter": "colour",
    "colour_jitter": "colour",
    "t_0": "restart_epochs",
    "t_mult": "restart_factor",
}

RECORDED_ALIASES = {
    "early_stopping_patience": "patience",
    "scheduler": "schedule_kind",
    "max_grad_norm": "grad_clip",
    "use_lmsa": "lmsa",
    "horizontal_flip": "horizontal_flip_prob",
    "optimizer": "optimizer_kind",
    "model": "model_name",
}

RECORDED_NAMES = {ours: recorded for recorded, ours in RECORDED_ALIASES.items()} | {
    "model_kind": "model",
    "augment_rotation": "rotation_probability",
    "gpu_augmentation_rotation": "rotation_probability",
    "augmentation_rotation": "rotation_degrees",  # there the same word means the angle
}

RECORDED_KINDS = {
    "adamw": "AdamW",
    "sgd": "SGD",
    "muon": "Muon",
    "cosine": "CosineAnnealingLR",
    "warm_restarts": "CosineAnnealingWarmRestarts",
    "polynomial": "PolynomialLR",
    "one_cycle": "OneCycleLR",
    "constant": "ConstantLR",
}
"""An optimiser's or a schedule's name in a registry -> what the hand runs' `config.yaml` calls it."""

RECORDED_OPTIONS = {"lmsa": "use_lmsa"}
"""A model's option -> what the hand runs' `config.yaml` calls it."""

FIRST = (
    "learning_rate",
    "weight_decay",
    "dropout",
    "warmup_epochs",
    "dice_weight",
    "scheduler",
    "schedule.kind",
    "optimizer",
    "batch_size",
    "epochs",
)


SCORES = {
    "val_fscore": {
        "score_column": "val_f_score",
        "train_score_column": "train_f_score",
        "score_words": "val F per image",
    },
    "val_miou": {
        "score_column": "val_miou",
        "train_score_column": "train_miou",
        "score_words": "val mIoU",
        "image_words": "IoU of an image, itself the mean over the classes in its mask or prediction",
    },
}
"""What `study.score` may be."""


def curve(params: Params) -> CurveShape:
    """A warm-up delays a curve; warm restarts throw it back; kinds of schedule differ in when they gain."""
    warmup = params.get("schedule.warmup_epochs", 0)
    kind = params.get("schedule.kind")
    restarts: Iterator[int] | tuple[()] = ()
    if kind in (None, "warm_restarts") and "schedule.restart_epochs" in params:
        first, factor = params["schedule.restart_epochs"], params.get("schedule.restart_factor", 1)
        restarts = _restarts(warmup, first, factor)
    return CurveShape(delay=warmup, horizon=params.get("trainer.epochs"), restarts=restarts, kind=kind)


def _restarts(warmup: int, cycle: int, factor: int) -> Iterator[int]:
    """First epochs of the second, third, ... cycle, endless; the first cycle lasts `cycle` epochs."""
    epoch = warmup + 1
    while True:
        epoch += cycle
        cycle *= factor
        yield epoch


def examples(folder: Path) -> Examples | None:
    """The validation images that the run in `folder` kept."""
    from search.mseg.gallery import read

    return read(folder)


def settings() -> Sequence[str]:
    """The dotted name of every setting."""
    from search.mseg.config import SETTINGS

    return SETTINGS


def defaults(params: Params) -> Mapping[str, Value]:
    """Every setting that `params` leave out, with the value that it then has."""
    from search.mseg.config import Config

    whole = Config.from_params(params).to_params()
    return {name: value for name, value in whole.items() if name not in params}


vocabulary = Vocabulary(
    aliases=ALIASES,
    recorded_aliases=RECORDED_ALIASES,
    recorded_names=RECORDED_NAMES,
    recorded_values={recorded: ours for ours, recorded in RECORDED_KINDS.items()},
    first=FIRST,
    curve=curve,
    former=FORMER,
    delay_setting="warmup_epochs",
    scores=SCORES,
    score_range=(0.0, 1.0),
    smallest_difference=0.005,  # half a point; another seed changes a run as much
    older_score_column="val_fscore_batch32",
    older_score_words="val F, pooled by batches",
    class_score_column="val_f_per_class",
    class_score_words="F",
    settings=settings,
    defaults=defaults,
    epochs_setting="trainer.epochs",
    all_data=True,
    faster={"trainer.compile": True},
    stand_in="drawn faces",
    examples=examples,
    examples_file=GALLERY,
    example_words=("image", "images"),
).scored_by(None)
