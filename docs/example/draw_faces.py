"""Drawn faces in place of real ones in a study's folders, so that anybody may see its report.

    python docs/example/draw_faces.py runs faces

Every trial's best weights look at faces that were drawn, and `faces.npz` and `overlay.png` are written anew
from what they see. Training, scores and everything else in the report stay those of the real faces.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from search.mseg import configure, overlay
from search.mseg.data.data import load
from search.mseg.learner import build
from search.objective import WEIGHTS
from search.study.open import open_study
from search.study.read import read_records

FACES, SEED = 500, 11
SHOWN = 0.2  # the share of them that the weights see


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("study")
    given = parser.parse_args()
    study = open_study(f"sqlite:///{given.runs / 'search.db'}", given.study)
    for record in read_records(study):
        folder = given.runs / given.study / f"trial-{record.number:04d}"
        if not (folder / WEIGHTS).is_file():
            continue
        config = configure({**study.spec.space.constants, **record.params})
        drawn = {"source": "drawn", "drawn_images": FACES, "drawn_seed": SEED, "val_share": SHOWN}
        data = load(config.data.model_copy(update={**drawn, "train_limit": None}), root=None)
        named = replace(data.val, names=tuple(f"drawn {name}" for name in data.val.names))
        learner = build(config, len(data.classes), torch.device("cpu"))
        overlay.write(folder, learner, replace(data, val=named))
        print(folder)


if __name__ == "__main__":
    main()
