"""`run.py` of a submission: from an image's file to its mask's, with PyTorch, Pillow and NumPy alone.

It is made of the functions that `search predict` uses; the model comes from `model.py` beside it.
"""

import pprint

from search.mseg.data.fitting import Fitting
from search.mseg.data.pictures import read_photo
from search.mseg.predicting import palette_image, segment
from search.mseg.standalone.bundle import bundle
from search.mseg.weights import TrainedModel

DOCUMENT = '''\
"""One mask: python run.py --input IMAGE --output MASK [--weights ckpt.pth]."""

from __future__ import annotations

import argparse
from pathlib import Path

{code}

FITTING = Fitting(size={size}, pad={pad})
COLOURS = {colours}


def write_mask(model: SegmentationModel, image: Path, mask: Path) -> None:
    """Writes the mask of an image: mode P, the index is the class, in the image's own size."""
    pixels, _ = read_photo(image)
    palette_image(segment(model, pixels, FITTING), COLOURS).save(mask, "PNG")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Segments an image.")
    parser.add_argument("--input", type=Path, required=True, metavar="IMAGE")
    parser.add_argument("--output", type=Path, required=True, metavar="MASK")
    parser.add_argument("--weights", type=Path, default=Path(__file__).with_name("ckpt.pth"))
    given = parser.parse_args()
    write_mask(load(given.weights), given.input, given.output)


if __name__ == "__main__":
    main()
'''


def run_source(trained: TrainedModel) -> str:
    """The source of `run.py` for a model whose code is in `model.py`."""
    wanted = (segment, palette_image, read_photo, Fitting)
    code = bundle(
        [(each.__module__, each.__name__) for each in wanted],
        provided={"search.mseg.models.model": "model"},
    )
    return DOCUMENT.format(
        code=f"{code}\nfrom model import load",
        size=trained.fitting.size,
        pad=trained.fitting.pad,
        colours=pprint.pformat(trained.colours.tolist(), width=100, compact=True),
    )
