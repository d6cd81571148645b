"""`search trials`: the trials of a study, or one in full."""

from typing import Annotated

from search.cli import options as flag
from search.cli.groups import Place
from search.errors import no_trial
from search.render.output import write_json


def trials(
    study: flag.StudyName,
    place: Place,
    number: Annotated[int | None, flag.number_argument("One trial in full.")] = None,
    as_json: flag.Json = False,
) -> int:
    """Show all trials, or one in full: curve and why it ended."""
    from search.imports.imported_runs import read_imported
    from search.render.terminal import show
    from search.study.read import read_records, read_snapshot
    from search.ui.trials import trial_detail, trials_page

    opened = place.open(study, read_only=True)
    records = read_records(opened, number)
    if number is not None and not records:
        raise no_trial("trials", number, opened.name)
    if as_json:
        write_json([record.to_json() for record in records])
    elif number is not None:
        show(trial_detail(records[0]))
    else:
        show(trials_page(records, read_snapshot(opened), read_imported(opened)))
    return 0
