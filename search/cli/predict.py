"""`search predict`: masks for a folder of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli import options as flag
from search.cli.groups import NamedWeights, OneDevice
from search.errors import UserError, listed
from search.render.output import say, write_json

if TYPE_CHECKING:
    from search.results.masks import PredictedImage

Images = Annotated[Path, flag.path_option("--images", "Folder with the images.")]
Out = Annotated[Path, flag.path_option("--out", "Folder for the masks; continues there.")]
Overlay = Annotated[bool, typer.Option("--overlay", help="Draw each mask over its image, too.")]
Tta = Annotated[
    Literal["none", "flip"],
    typer.Option("--tta", help="flip: the mean over an image and its mirror image, for twice the time."),
]
Score = Annotated[
    bool, typer.Option("--score", help="Score against the folder masks beside the folder of images.")
]


def predict(
    images: Images,
    out: Out,
    named: NamedWeights,
    one: OneDevice,
    overlay: Overlay = False,
    tta: Tta = "none",
    score: Score = False,
    as_json: flag.Json = False,
) -> int:
    """Write a mask for every image of a folder, with a trained model.

    The same command continues where it stopped.
    """
    from search.results.masks import claim_masks, images_in, others_in, predict_images, write_scores
    from search.runtime.signals import interruptible
    from search.ui.progress import bar

    truth = images.absolute().parent / "masks" if score else None
    if truth is not None and not truth.is_dir():
        raise UserError(f"--score: {truth}: no such folder; put the true masks there, or omit --score")
    device = one.find()
    device.confine()
    flip, results = tta == "flip", []
    with named.load() as weights, interruptible() as interrupt:
        with interrupt.at_once():
            build = weights.part("predictor", "predict")
            predictor = build(weights.config, weights.path, device.name, flip)
            found, others = images_in(images, predictor.suffixes), others_in(images, predictor.suffixes)
        claim_masks(out, predictor, flip, weights.title)
        if others:
            say(f"{images}: passed over for their suffix: {listed(others)}")
        work = predict_images(predictor, found, out, overlay=overlay, truth=truth)
        with bar("predicting") as report:
            for result in work:
                results.append(result)
                report(len(results), len(found))
                if interrupt:
                    break
    if interrupt:
        say(f"stopped after {len(results)} images; the same command continues in {out}")
        return interrupt.code
    return _print(results, weights.title, out, write_scores(out, results) if score else None, as_json)


def _print(
    results: "Sequence[PredictedImage]", title: str, out: Path, scores: Path | None, as_json: bool
) -> int:
    """Prints what came of the images, which `scores` has where they were scored; returns the exit code."""
    from search.results.masks import means

    faults = [result for result in results if result.fault]
    for result in faults:
        say(str(result.fault))
    kept = sum(result.kept for result in results)
    if as_json:
        write_json(
            {
                "weights": title,
                "out": str(out),
                "images": len(results),
                "masks": sum((out / f"{result.image.stem}.png").exists() for result in results),
                "kept": kept,
                "faults": [{"image": str(each.image), "text": each.fault} for each in faults],
                "scores": None if scores is None else means(results),
            }
        )
    else:
        print(out)
        if scores is not None:
            words = ", ".join(f"{name} {value:.4f}" for name, value in means(results).items())
            print(f"{scores}: {words or 'nothing could be scored'}, means over images")
    done = f"{len(results) - len(faults)} of {len(results)} images"
    say(f"{done} by {title}" + (f", {kept} masks of them there before" if kept else ""))
    return 1 if faults else 0
