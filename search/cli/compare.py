"""`search compare`: what differs between two runs, and whether noise explains it."""

from typing import Annotated

import typer

from search.cli import options as flag
from search.cli.groups import Place
from search.errors import UserError
from search.render.output import write_json

Claims = Annotated[
    list[str] | None,
    typer.Option("--claim", metavar="NAME OLD -> NEW", help="A change to look for in what was recorded."),
]


def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A trial's number, a known config, best, or a run's folder.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The one to hold against it.")],
    place: Place,
    study: flag.OptionalStudy = None,
    claims: Claims = None,
    stage_ends: flag.Stages = None,
    as_json: flag.Json = False,
) -> int:
    """Compare two runs: what differs, and whether noise explains it.

    What is equal in both is listed as well.
    """
    from search.analysis.claims import parse_claim
    from search.analysis.comparison import compare as run
    from search.analysis.stages import parse_ends
    from search.imports.lookup import read_sides
    from search.study.study import Study

    def open_study() -> Study:
        if study is None:
            raise UserError(f"compare: {a} and {b} are not both folders; name their study with --study")
        return place.open(study, read_only=True)

    said = [parse_claim(text) for text in claims or ()]
    asked = None if stage_ends is None else parse_ends(stage_ends)
    sides = read_sides(a, b, place.runs, open_study)
    found = run(sides.a, sides.b, said, asked or sides.ends)
    if as_json:
        write_json(found.to_json())
    else:
        from search.render.terminal import RichBlocks, show
        from search.report.comparison import comparison_blocks

        show(RichBlocks(comparison_blocks(found)))
    return 0
