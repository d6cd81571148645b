"""`search submit`: what the challenge takes, made of a trained model, or checked before it is handed in."""

from pathlib import Path
from typing import Annotated

from search.cli import options as flag
from search.cli.groups import NamedWeights
from search.errors import UserError
from search.loading import load_objective
from search.render.output import say, write_json

Check = Annotated[
    Path | None,
    flag.path_option("--check", "Only check this zip by the challenge's rules, whoever made it.", "ZIP"),
]
Images = Annotated[
    Path | None,
    flag.path_option("--images", "Folder with the test images; by default test/images of --data."),
]
Out = Annotated[Path | None, flag.path_option("--out", "The file to write.", "ZIP")]


def submit(
    named: NamedWeights,
    checked: Check = None,
    images: Images = None,
    out: Out = None,
    data: flag.Data = None,
    as_json: flag.Json = False,
) -> int:
    """Write the challenge's zip with a trained model, or check one.

    The masks are made on the CPU, by the code that is handed in.
    """
    from search.results.masks import whole_file
    from search.results.next_commands import folder_of_test_images
    from search.runtime.signals import interruptible
    from search.ui.progress import bar

    images = images or folder_of_test_images(data)
    if checked is not None:
        if out is not None or named.model is not None or named.trial is not None:
            raise UserError("--check: only checks a zip; omit --out, --model and --trial")
        return _check(checked, images, named.objective, as_json)
    if images is None:
        raise UserError("--images: name the folder of test images, or --data with test/images")
    if out is None:
        raise UserError("--out: name the zip to write, as in --out submission.zip; or --check one")
    if out.exists():
        raise UserError(f"--out: {out} exists already; name another file")
    if not out.absolute().parent.is_dir():
        raise UserError(f"--out: {out.parent}: no such folder; make it, or name a file in another")
    masks = 0
    with (
        interruptible() as interrupt,
        interrupt.at_once(),
        named.load() as weights,
        whole_file(out) as beside,
        bar("predicting") as report,
    ):
        write = weights.part("write_submission", "submit")
        masks = write(weights.config, weights.path, images, beside, report)
    if interrupt:
        say("stopped; nothing is written")
        return interrupt.code
    if as_json:
        write_json({"zip": str(out), "weights": weights.title, "masks": masks})
    else:
        print(out)
    say(f"{weights.title}: {masks} masks, checked; run.py gives the same ones without this program")
    return 0


def _check(checked: Path, images: Path | None, objective: str | None, as_json: bool) -> int:
    from search.results.weights import objective_without_study, part_of

    name = objective_without_study(objective)
    check = part_of(load_objective(name), name, "check_submission", "submit --check")
    result = check(checked, images)
    if as_json:
        write_json(result.to_json())
    else:
        print(*result.problems, sep="\n", end="\n" if result.problems else "")
    if images is None:
        say("names, number and sizes of the masks were not checked; --images FOLDER checks them")
    if not result.problems:
        masks = (
            f"{result.masks} masks"
            if result.images is None
            else f"a mask for each of {result.images} images"
        )
        say(f"{checked}: nothing wrong was found: {masks}, {result.parameters:,} parameters")
    return 1 if result.problems else 0
