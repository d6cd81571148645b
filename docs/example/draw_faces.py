"""Replaces the real faces in a study's folders by drawn ones, so that anyone may see its report.

    python docs/example/draw_faces.py runs faces

The best weights of every trial segment drawn faces, and `faces.npz` and `overlay.png` are rewritten from
the results. Training, scores and everything else in the report remain those of the real faces.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from search.mseg import configure, overlay
from search.mseg.data.sources import load
from search.mseg.learner import build
from search.objective import WEIGHTS
from search.study.open import open_study
from search.study.read import read_records

FACES, SEED = 500, 11
VAL_SHARE = 0.2  # the share of the drawn faces that the weights segment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("study")
    options = parser.parse_args()
    study = open_study(f"sqlite:///{options.runs / 'search.db'}", options.study)
    for record in read_records(study):
        folder = options.runs / options.study / f"trial-{record.number:04d}"
        if not (folder / WEIGHTS).is_file():
            continue
        config = configure({**study.spec.space.constants, **record.params})
        drawn = {"source": "drawn", "drawn_images": FACES, "drawn_seed": SEED, "val_share": VAL_SHARE}
        data = load(config.data.model_copy(update={**drawn, "train_limit": None}), root=None)
        named = replace(data.val, names=tuple(f"drawn {name}" for name in data.val.names))
        learner = build(config, len(data.classes), torch.device("cpu"))
        overlay.write(folder, learner, replace(data, val=named))
        print(folder)


if __name__ == "__main__":
    main()
