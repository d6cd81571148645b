"""Recorded runs: config.yaml and history.json with curves like the real ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np

CONFIG = """\
data: {batch_size: 32, num_workers: 16}
experiment: {name: one, description: a run}
loss: {dice_weight: 1.5}
model: {dropout: 0.15, use_lmsa: true}
output_dir: checkpoints/one
training: {early_stopping_patience: null, epochs: 300, learning_rate: 8e-4, warmup_epochs: 5}
"""


def history(epochs: int, seed: int, level: float = 0.66) -> dict[str, list[Any]]:
    """Curves like the recorded ones: a rise and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, epochs + 1)
    score = level - 0.6 * np.exp(-t / 15) + rng.normal(0, 0.017, epochs)
    train = level + 0.001 * t - 0.6 * np.exp(-t / 15)
    return {"train_f_score": train.tolist(), "val_f_score": score.tolist(), "lr": [8e-4] * epochs}


def record(folder: Path, config: str, columns: dict[str, list[Any]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    (folder / "history.json").write_text(json.dumps(columns))
    return folder
