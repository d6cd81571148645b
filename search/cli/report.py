"""`search report`: write what a study found."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from search.cli import options as flag
from search.errors import UserError
from search.render.output import say, write_json
from search.study.resolve import resolve_study, storage_url

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
    against: Against = None,
    stage_ends: flag.Stages = None,
    trial: Trial = None,
    final: Final = False,
    data: flag.Data = None,
    storage: flag.Storage = None,
    runs: flag.Runs = Path("runs"),
    artifacts: flag.Artifacts = None,
    gpus: flag.Gpus = "auto",
    device: flag.Device = None,
    as_json: flag.Json = False,
) -> int:
    """Write what a study found: a page, its figures, a note.

    From its records alone, but for --final; nothing is trained. The note is shown by the dashboard.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from search.analysis.stages import parse_ends
    from search.report.collect import collect_report_data, read_trial
    from search.report.publication import publish
    from search.report.score_test_split import read_split_scores, score_test_split
    from search.report.writer import draw_trial, write_report
    from search.runtime.devices import find_devices
    from search.study.folder import folder_of
    from search.study.read import read_record
    from search.worker.checkpoint_sync import artifact_place
    from search.worker.workspace import check_folder
    from storage.errors import StorageError

    if trial is not None and (against is not None or stage_ends is not None or final):
        raise UserError("--trial: draws one trial; omit --against, --stages and --final")
    ends = None if stage_ends is None else parse_ends(stage_ends)
    check_folder(runs)
    url = storage_url(storage, runs)
    opened = resolve_study(url, study, read_only=True)
    folder = folder_of(opened, runs) / "report"
    if trial is not None:
        record = read_record(opened, trial, "--trial")
        if record.value is None:
            raise UserError(f"--trial: trial {trial} ({record.state}) has no score yet")
        figure = draw_trial(read_trial(opened, record, runs), opened.spec.study.smooth, folder)
        _print({"study": opened.name, "trial": trial, "figures": [str(figure)]}, [figure], as_json)
        return 0
    report_data = collect_report_data(opened, runs, against, ends)
    if final:
        trials = [each for _, each in reversed(report_data.roles)]
        score_test_split(
            resolve_study(url, opened.name),
            trials,
            data,
            find_devices(gpus, None, device)[0],
            artifacts,
        )
        baseline = None if report_data.baseline is None else report_data.baseline.record.number
        scores = read_split_scores(opened, report_data.best.record.number, baseline)
        report_data = replace(report_data, test=scores)
    written = write_report(report_data, folder)
    try:
        publish(resolve_study(url, opened.name), written, artifact_place(artifacts, runs))
    except (OSError, StorageError, SQLAlchemyError) as error:
        say(f"the dashboard does not have this report: {str(error).splitlines()[0]}")
    if final and report_data.test is not None:
        say(report_data.test.count_sentence())
    _print(written.to_json(), written.paths, as_json)
    return 0


def _print(json: dict[str, object], paths: list[Path], as_json: bool) -> None:
    if as_json:
        write_json(json)
    else:
        print(*paths, sep="\n")
