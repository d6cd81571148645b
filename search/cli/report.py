"""`search report`: write what a study found."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import options as flag
from search.cli.groups import OneDevice, Place
from search.errors import UserError
from search.render.output import say, write_json

if TYPE_CHECKING:
    from search.report.writer import WrittenReport
    from search.study.study import Study

Against = Annotated[
    str | None,
    typer.Option(
        metavar="CONFIG",
        help="The baseline: a trial's number or a known config; by default the first known config.",
    ),
]
Trial = Annotated[
    int | None, flag.number_option("--trial", "Only draw this trial: score, loss, rate and gap.", min=0)
]
Final = Annotated[
    bool,
    typer.Option(
        "--final",
        help="Also score the best and the baseline on the labelled test split of --data; each read is "
        "counted.",
    ),
]


def report(
    study: flag.StudyName,
    place: Place,
    one: OneDevice,
    against: Against = None,
    stage_ends: flag.Stages = None,
    trial: Trial = None,
    final: Final = False,
    data: flag.Data = None,
    artifacts: flag.Artifacts = None,
    as_json: flag.Json = False,
) -> int:
    """Write what a study found: a page, its figures, a note.

    From its records alone, but for --final; nothing is trained. The note is shown by the dashboard.
    """
    from search.analysis.stages import parse_ends
    from search.report.collect import collect_report_data
    from search.report.score_test_split import with_test_split
    from search.report.writer import write_report
    from search.study.folder import folder_of
    from search.worker.workspace import check_folder

    if trial is not None and (against is not None or stage_ends is not None or final):
        raise UserError("--trial: draws one trial; omit --against, --stages and --final")
    ends = None if stage_ends is None else parse_ends(stage_ends)
    check_folder(place.runs)
    opened = place.open(study, read_only=True)
    folder = folder_of(opened, place.runs) / "report"
    if trial is not None:
        figure = _draw(opened, trial, place.runs, folder)
        _print({"study": opened.name, "trial": trial, "figures": [str(figure)]}, [figure], as_json)
        return 0
    report_data = collect_report_data(opened, place.runs, against, ends)
    if final:
        report_data = with_test_split(place.open(opened.name), report_data, data, one.find(), artifacts)
    written = write_report(report_data, folder)
    _publish(place, opened.name, written, artifacts)
    if final and report_data.test is not None:
        say(report_data.test.count_sentence())
    _print(written.to_json(), written.paths, as_json)
    return 0


def _draw(study: "Study", number: int, runs: Path, folder: Path) -> Path:
    """Draws one training; returns the file."""
    from search.report.collect import read_trial
    from search.report.writer import draw_trial
    from search.study.read import read_record

    record = read_record(study, number, "--trial")
    if record.value is None:
        raise UserError(f"--trial: trial {number} ({record.state}) has no score yet")
    return draw_trial(read_trial(study, record, runs), study.spec.study.smooth, folder)


def _publish(place: Place, study: str, written: "WrittenReport", artifacts: str | None) -> None:
    """Shows the report on the dashboard; a line says so where that is not possible."""
    from sqlalchemy.exc import SQLAlchemyError

    from search.report.publication import publish
    from search.worker.checkpoint_sync import artifact_place
    from storage.errors import StorageError

    try:
        publish(place.open(study), written, artifact_place(artifacts, place.runs))
    except (OSError, StorageError, SQLAlchemyError) as error:
        say(f"the dashboard does not have this report: {str(error).splitlines()[0]}")


def _print(json: dict[str, object], paths: list[Path], as_json: bool) -> None:
    if as_json:
        write_json(json)
    else:
        print(*paths, sep="\n")
