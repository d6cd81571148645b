"""`search import`: keep runs that were not trained here beside a study's trials."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import options as flag
from search.cli.groups import Place
from search.errors import UserError
from search.render.output import say, write_json

if TYPE_CHECKING:
    from search.imports.csv_runs import ReadRun
    from search.records import ImportedRun
    from search.spec.spec import Spec


def import_runs(
    study: flag.StudyName,
    place: Place,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=flag.path_of,
            metavar="PATH...",
            help="Folders with config.yaml and history.json, or CSV files.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of a single run; by default that of its folder or file."),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Replace runs of the same names.")] = False,
    as_known: Annotated[
        bool,
        typer.Option(
            "--as-known",
            help="Store nothing; print them as `known` of a space.yaml, by the names of the study's space.",
        ),
    ] = False,
    removed: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="NAME", help="Forget the run of that name; its files stay."),
    ] = None,
    as_json: flag.Json = False,
) -> int:
    """Show runs that were trained elsewhere next to the trials.

    They never enter the search.
    """
    from search.imports import imported_runs

    if removed and (paths or name or update or as_known):
        raise UserError("--remove: only forgets runs; omit paths and other flags")
    if as_known and (update or as_json):
        raise UserError("--as-known: stores nothing and prints YAML; omit --update and --json")
    if removed:
        opened = place.open(study)
        imported_runs.remove(opened, removed)
        return show_runs(imported_runs.read_imported(opened), as_json)  # what is left
    if not paths:
        raise UserError("import: no PATH; give a run's folder or a CSV file, or --remove NAME")
    opened = place.open(study, read_only=as_known)
    read = imported_runs.read_paths(paths, name, opened.spec.vocabulary)
    if as_known:
        return print_known(read, opened.spec)
    return show_runs(imported_runs.store(opened, read, update=update), as_json)


def show_runs(runs: "Sequence[ImportedRun]", as_json: bool) -> int:
    """A row or an object for each run; on a terminal nothing where there is none."""
    if as_json:
        write_json([run.to_json() for run in runs])
    elif runs:
        from search.imports.listing import imported_table
        from search.render.terminal import RichBlocks, show

        show(RichBlocks([imported_table(runs)]))
    return 0


def print_known(read: "Sequence[ReadRun]", spec: "Spec") -> int:
    """Prints the runs as YAML, and to stderr what each of them leaves out."""
    import yaml

    from search.imports.known_config import known_from

    configs = {known.name: known.params for known in spec.known}
    new = []
    for entry in [known_from(each.run, spec.space) for each in read]:
        same = next((name for name, params in configs.items() if params == entry.params), None)
        if same is not None:
            say(f"{entry.name}: is the known config {same!r}, by the parameters of the study")
            continue
        configs[entry.name] = entry.params
        new.append(entry)
        if entry.left_out:
            say(f"{entry.name}: left out: {entry.left_out}")
    if new:
        document = {"known": [entry.to_document() for entry in new]}
        print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), end="", flush=True)
    return 0
