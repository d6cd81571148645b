"""The stock objective's names for its vocabulary, and how its curves are read."""

from collections.abc import Iterator, Mapping

from search.objective import CurveShape, Params

GALLERY = "faces.npz"

FORMER = {"loss.kind": "ce_dice"}
"""Settings that are gone, with the one value they had: documents of older versions give them."""

CALLED: Mapping[str, str] = {
    "learning_rate": "lr initial_lr initial_learning_rate base_lr",
    "weight_decay": "wd decay",
    "dropout": "drop_out dropout_rate",
    "warmup_epochs": "warmup warm_up warm_up_epochs",
    "dice_weight": "dice",
    "batch_size": "batch",
    "epochs": "horizon t_max max_epochs",
    "num_workers": "workers loader_workers",
    "early_stopping_patience": "patience early_stopping",
    "scheduler": "schedule lr_scheduler",
    "max_grad_norm": "clip grad_clip gradient_clipping",
    "use_lmsa": "lmsa",
    "use_amp": "amp mixed_precision",
    "horizontal_flip": "flip",
    "hue": "hue_jitter",
    "blur": "gaussian_blur",
    "noise": "gaussian_noise",
    "cutout": "random_erasing erasing",
    "crop": "random_crop resized_crop random_resized_crop",
    "colour": "color color_jitter colour_jitter",
    "restart_epochs": "t_0",
    "restart_factor": "t_mult",
}
"""A setting -> what people call it."""

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
