"""`search submit`: what the challenge takes, checked before it is handed in."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import options as flag
from search.render.output import say, write_json

Check = Annotated[
    Path,
    typer.Option(
        "--check",
        parser=flag.path_of,
        metavar="ZIP",
        help="Check this zip by the challenge's rules, whoever made it.",
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        parser=flag.path_of,
        metavar="PATH",
        help="Folder with the test images; by default test/images of --data.",
    ),
]


def submit(
    checked: Check,
    images: Images = None,
    data: flag.Data = None,
    as_json: flag.Json = False,
) -> int:
    """Say in one line each what would score 0 in a submission of the challenge, or be refused."""
    from search.mseg.submission.check import check_submission

    if images is None and data is not None and (data / "test" / "images").is_dir():
        images = data / "test" / "images"
    result = check_submission(checked, images)
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
