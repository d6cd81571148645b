"""What a training writes down for people and reports: `config.yaml` and `history.json`.

Both have the layout of the hand-run history, so that one reader serves both: its names where it has one,
our own settings inside its sections, and a section `provenance` for what is not a setting.
"""

import hashlib
import json
import math
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from search.mseg.config import Config
from search.mseg.data.dataset import SegmentationData
from search.mseg.naming import RECORDED_KINDS, RECORDED_OPTIONS
from search.objective import Run
from search.objective.files import write_whole

History = dict[str, list[Any]]
"""Column -> one value an epoch, from epoch 1."""

Row = dict[str, Any]
"""Column -> the value of one epoch; some or all of a history's."""

COLUMNS = (
    "train_loss",
    "train_f_score",
    "train_accuracy",
    "val_loss",
    "val_f_score",  # per image: the score of a study that names no other
    "val_accuracy",
    "lr",
    "val_fscore_batch32",  # the hand-run history's: pooled over batches of 32
    "val_fscore_pooled",  # over the whole validation set
    "val_miou",  # likewise
    "train_miou",
    "val_f_per_class",  # a list by class; null where no validation image holds it
    "epoch_seconds",
    "images_per_second",
)


def empty_history() -> History:
    """Columns of a run that has trained no epoch yet."""
    return {column: [] for column in COLUMNS}


def recorded(config: Config, run: Run, data: SegmentationData, precision: torch.dtype) -> dict[str, Any]:
    """`config` in the layout of the recorded hand runs."""
    sections = config.sections()
    augmentation, trainer, loss = sections["augment"], sections["trainer"], sections["loss"]
    return {
        "experiment": {"name": run.dir.name, "description": f"a run of search.mseg on {data.source}"},
        "data": {
            "root": data.source if run.data is None else str(run.data),
            "batch_size": trainer.pop("batch_size"),
            "num_workers": 0,
            "num_train": len(data.train.images),
            "num_val": len(data.val.images),
            "classes": list(data.classes),
            **({"all_data": True} if run.all_data else {}),
            **sections["data"],  # options of other sources too, as runs have always recorded them
        },
        "gpu_augmentation": {
            "horizontal_flip_prob": augmentation.pop("flip"),
            "mirror_pairs": [list(pair) for pair in data.mirror_pairs],
            **augmentation,
        },
        "model": {
            "name": config.model.kind,
            **({"kind": config.model.kind} if "name" in config.model.options else {}),
            "num_classes": len(data.classes),
            **{RECORDED_OPTIONS.get(name, name): value for name, value in config.model.options.items()},
        },
        "loss": {
            **loss,
            "use_class_weights": loss["ce_weight"] > 0 and loss["class_weights"] != "none",
            "use_focal": loss["ce_weight"] > 0 and loss["focal_gamma"] > 0,
        },
        "training": {
            "optimizer": RECORDED_KINDS.get(config.optimizer.kind, config.optimizer.kind),
            "scheduler": RECORDED_KINDS.get(config.schedule.kind, config.schedule.kind),
            "early_stopping_patience": trainer.pop("patience"),
            "max_grad_norm": trainer.pop("grad_clip"),
            "use_amp": precision != torch.float32,
            "use_gpu_augmentation": True,
            "learning_rate": config.optimizer.learning_rate,
            **config.optimizer.options,
            "warmup_epochs": config.schedule.warmup_epochs,
            **config.schedule.options,
            **trainer,
        },
        "provenance": {
            "seed": run.seed,
            "device": run.device,
            "device_name": _device_name(torch.device(run.device)),
            "dtype": str(precision).removeprefix("torch."),
            "torch": str(torch.__version__),
            "kornia": version("kornia"),
            "numpy": version("numpy"),
            "pillow": version("pillow"),
            "python": platform.python_version(),
            "code": code_version(),
            "threads": torch.get_num_threads(),
            "data": dict(data.fingerprint),
        },
    }


@cache
def code_version() -> str:
    """The version of this program, and a digest of the sources that train, whatever version they call."""
    root = Path(__file__).parent
    sources = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.py")}
    digest = hashlib.sha256(b"".join(name.encode() + sources[name] for name in sorted(sources)))
    return f"{version('mseg-search')} {digest.hexdigest()[:12]}"


def write_config(folder: Path, document: Mapping[str, Any]) -> None:
    """Write `config.yaml`."""
    write_whole(folder / "config.yaml", yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True))


def write_history(folder: Path, history: History) -> None:
    """Write `history.json`; what is not finite is null."""
    columns = {name: [_finite(value) for value in column] for name, column in history.items()}
    write_whole(folder / "history.json", json.dumps(columns, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value if value is None or math.isfinite(value) else None


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
